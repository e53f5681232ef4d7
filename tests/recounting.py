"""Every table that events make, counted anew from the events one by one in plain Python, without the project's decoding or SQL."""

import hashlib
import hmac
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from typing import Any

from streams.settings import Settings
from tests.line_process import records_of, recount

Event = dict[str, Any]
EPOCH = datetime(1970, 1, 1)
SEOUL, GAP = timedelta(hours=9), timedelta(minutes=10)
MOST_OF_A_PERSON = 300
LATENCIES = (300, 1_000, 3_000, 10_000)

TABLES = {
    "market_minute": "minute_at, market_id, channel, approved, approved_amount, declined, reversed, reversed_amount, failed, failed_amount",
    "issuer_minute": "minute_at, issuer, region, channel, outcome, code, count, amount, latency_under_300, latency_under_1000, latency_under_3000, "
    "latency_under_10000, latency_over_10000",
    "service_minute": "minute_at, service, code, errors",
    "merchant_day": "day, merchant_id, market_id, approved, amount, failed, failed_amount",
    "failed_purchase": "purchase_id, user_key, market_id, channel, first_failure_at, last_failure_at, failures, amount, recovered_at, recovered_amount",
}
"""Columns in the order of the rows that ``recounted`` gives."""


def when(event: Event) -> datetime:
    return EPOCH + timedelta(milliseconds=event["occurred_at"])


def minute(event: Event) -> datetime:
    return when(event).replace(second=0, microsecond=0)


def key(text: str) -> uuid.UUID:
    """The UUID that an id is, or the first half of its SHA-256."""
    try:
        return uuid.UUID(text) if len(text) == 36 else uuid.UUID(hashlib.sha256(text.encode()).hexdigest()[:32])
    except ValueError:
        return uuid.UUID(hashlib.sha256(text.encode()).hexdigest()[:32])


def in_order(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: (event["occurred_at"], key(event["event_id"]).int))


def attempt(event: Event) -> tuple[Any, Any]:
    return event.get("purchase_id", event["event_id"]), event.get("attempt", event["event_id"])


def counted(payments: list[Event], failures: list[Event]) -> list[Event]:
    """Failures of attempts, the first of each attempt, and none of an attempt that was decided."""
    decided = {attempt(p) for p in payments if p["status"] != "reversed" and "purchase_id" in p and "attempt" in p}
    first: dict[Any, Event] = {}
    for event in in_order(f for f in failures if f["service"] == "payment"):
        if attempt(event) not in decided:
            first.setdefault(attempt(event), event)
    return list(first.values())


def by_issuer(payments: list[Event], failed: list[Event], regions: Mapping[str, str]) -> list[tuple[Any, ...]]:
    found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * (3 + len(LATENCIES)))
    for event in [*payments, *failed]:
        outcome, code = (event["status"], "response_code") if "status" in event else ("failed", "code")
        place = (event.get("issuer", "unknown"), regions.get(event.get("market_id", ""), "unknown"), event.get("channel", "unknown"))
        cell = found[minute(event), *place, outcome, event.get(code, "unknown")]
        cell[0] += 1
        cell[1] += event.get("amount", 0)
        if "status" in event and "latency_ms" in event:
            cell[2 + sum(event["latency_ms"] >= limit for limit in LATENCIES)] += 1
    return [(*where, *cell) for where, cell in found.items()]


def by_merchant(payments: list[Event], failed: list[Event]) -> list[tuple[Any, ...]]:
    found: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 4)
    for event in [*(p for p in payments if p["status"] == "approved"), *failed]:
        cell = found[(when(event) + SEOUL).date(), event.get("merchant_id", "unknown"), event.get("market_id", "unknown")]
        place = 0 if "status" in event else 2
        cell[place] += 1
        cell[place + 1] += event.get("amount", 0)
    return [(*where, *cell) for where, cell in found.items()]


def known(events: Iterable[Event], name: str) -> Any:
    return next((event[name] for event in events if name in event), None)


def failed_purchase(purchase: str | None, failed: list[Event], recovered: list[Event], secret: bytes) -> tuple[Any, ...]:
    """The row of one purchase, or of one episode without an id; both lists in order."""
    user = known(failed, "user_id")
    return (
        purchase and key(purchase),
        user and uuid.UUID(hmac.digest(secret, user.encode(), "sha256")[:16].hex()),
        known(failed, "market_id") or "unknown",
        known(failed, "channel") or "unknown",
        when(failed[0]),
        when(failed[-1]),
        len(failed),
        known(failed, "amount"),
        when(recovered[0]) if recovered else None,
        sum(event["amount"] for event in recovered) if recovered else None,
    )


def episodes(payments: list[Event], failures: list[Event], most: int) -> Iterable[tuple[list[Event], list[Event]]]:
    """What buyers did in a market without purchase_id, cut where nothing happened for longer than GAP: failures, and approvals since the first.

    Without days that had more than a person has.
    """
    seen = defaultdict(list)
    happened = [f for f in failures if f["service"] == "payment"] + [p for p in payments if p["status"] == "approved"]
    for event in in_order(event for event in happened if {"user_id", "market_id"} <= event.keys() and "purchase_id" not in event):
        seen[event["user_id"], event["market_id"]].append(event)
    for all_events in seen.values():
        of_day = Counter((when(event) + SEOUL).date() for event in all_events)
        events = [event for event in all_events if of_day[(when(event) + SEOUL).date()] <= most]
        if not events:
            continue
        cuts = [0, *accumulate(when(after) - when(before) > GAP for before, after in pairwise(events))]
        for number in range(cuts[-1] + 1):
            episode = [event for cut, event in zip(cuts, events, strict=True) if cut == number]
            failed = [event for event in episode if "status" not in event]
            if failed:
                yield failed, [event for event in episode if "status" in event and event["occurred_at"] >= failed[0]["occurred_at"]]


def failed_purchases(payments: list[Event], failures: list[Event], failed: list[Event], secret: bytes, most: int = MOST_OF_A_PERSON) -> list[tuple[Any, ...]]:
    approved, tried = defaultdict(list), defaultdict(list)
    for events, by_purchase in (([p for p in payments if p["status"] == "approved"], approved), (failed, tried)):
        for event in in_order(event for event in events if "purchase_id" in event):
            by_purchase[event["purchase_id"]].append(event)
    rows = [failed_purchase(purchase, some, approved[purchase], secret) for purchase, some in tried.items()]
    return rows + [failed_purchase(None, some, recovered, secret) for some, recovered in episodes(payments, failures, most)]


def recounted(payments: list[Event], failures: list[Event], secret: bytes, regions: Mapping[str, str] | None = None) -> dict[str, Counter[tuple[Any, ...]]]:
    """Rows of each of ``TABLES``, as often as they should be there. ``regions`` by market, as the market list has them."""
    payments = list({p["event_id"]: p for p in payments}.values())
    failures = list({f["event_id"]: f for f in failures}.values())
    failed = counted(payments, failures)
    services = Counter((minute(f), f["service"], f["code"]) for f in failures)
    return {
        "market_minute": Counter((*where, *cell) for where, cell in recount(payments, failures).items()),
        "issuer_minute": Counter(by_issuer(payments, failed, regions or {})),
        "service_minute": Counter((*where, errors) for where, errors in services.items()),
        "merchant_day": Counter(by_merchant(payments, failed)),
        "failed_purchase": Counter(failed_purchases(payments, failures, failed, secret)),
    }


def events_of(settings: Settings) -> dict[str, list[Event]]:
    """What is sound in the topics, read by a client of its own: payments, errors, commands."""
    found: dict[str, list[Event]] = {}
    for topic in ("payments", "errors", "commands"):
        found[topic] = []
        for _, value, _ in records_of(settings.kafka, settings.topic(topic)):
            try:
                event = json.loads(value)
            except ValueError:
                continue
            if isinstance(event, dict) and type(event.get("occurred_at")) is int:
                found[topic].append(event)
    return found


def regions_of(commands: Iterable[Event]) -> dict[str, str]:
    """Regions by market, as the commands say."""
    return {market["market_id"]: market["region"] for c in commands if c["kind"] == "markets_imported" for market in c["payload"]["markets"]}
