"""Alerts for a webhook: queued in the transaction that takes their message from the outbox, and kept until the receiver accepted them."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from warehouse.analysis.reporting import reporting_facts

ALERTED = ("opened", "closed", "declared", "corrected", "merged")
"""Changes that somebody is alerted of. An open incident is updated with every minute; that is for the topic."""

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=2), timedelta(hours=1)


@dataclass(frozen=True)
class Alert:
    """One alert: its id, the same in every try, its body, and how often it was tried."""

    alert_id: str
    body: str
    tries: int


def queue(connection: duckdb.DuckDBPyConnection, changes: Sequence[Mapping[str, Any]], now: datetime, subscribers: int) -> None:
    """Queue an alert for each change that is worth one, inside the open transaction. Times of changes naive UTC, ``now`` aware."""
    at = _naive(now)
    for change in changes:
        if change["action"] in ALERTED:
            body = json.dumps(alert_body(change, now, subscribers), ensure_ascii=False)
            connection.execute(
                "INSERT INTO alert SELECT $id, coalesce(max(number), 0) + 1, $body, $at, 0, $at, NULL FROM alert", {"id": uuid.uuid4(), "body": body, "at": at}
            )


def alert_body(change: Mapping[str, Any], now: datetime, subscribers: int) -> dict[str, Any]:
    """What the receiver gets: type, time and the incident with its reporting facts."""
    data = {name: value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value for name, value in change.items() if name != "number"}
    data["evidence"] = json.loads(change["evidence"]) if change["evidence"] else {}
    through = change["ended_at"] or max(change["last_seen_at"], change["detected_at"])
    facts = reporting_facts(change["onset_at"], change["ended_at"], through, subscribers=subscribers)
    data["reporting"] = facts.as_json()
    return {"type": f"incident.{change['action']}", "timestamp": now.astimezone(UTC).isoformat(), "data": data}


def due(connection: duckdb.DuckDBPyConnection, now: datetime) -> Alert | None:
    """The first alert in order that may be tried now."""
    # Fetched whole: while a result is unfinished, DuckDB refuses a relation on the same connection.
    rows = connection.execute("SELECT alert_id, body, tries FROM alert WHERE next_at <= ? ORDER BY number LIMIT 1", [_naive(now)]).fetchall()
    return Alert(str(rows[0][0]), rows[0][1], rows[0][2]) if rows else None


def accepted(connection: duckdb.DuckDBPyConnection, alert: Alert) -> None:
    """The receiver has it."""
    connection.execute("DELETE FROM alert WHERE alert_id = ?", [alert.alert_id])


def refused(connection: duckdb.DuckDBPyConnection, alert: Alert, now: datetime, failure: str, after: timedelta) -> None:
    """The receiver has it not: the next try comes ``after``."""
    connection.execute("UPDATE alert SET tries = tries + 1, next_at = ?, failure = ? WHERE alert_id = ?", [_naive(now + after), failure[:500], alert.alert_id])


def pause(tries: int, share: float) -> timedelta:
    """How long to wait after so many tries: doubled each time, an hour at most; ``share`` in [0, 1) spreads the second half of it (equal jitter)."""
    longest: timedelta = min(FIRST_PAUSE * 2.0 ** min(tries, 20), LONGEST_PAUSE)
    return longest / 2 * (1 + share)


def waiting(connection: duckdb.DuckDBPyConnection) -> int:
    """How many alerts are not accepted yet."""
    return int(connection.execute("SELECT count(*) FROM alert").fetchall()[0][0])


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
