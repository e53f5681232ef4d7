"""Commands: what a person says goes through the topic ``commands`` like everything else, never straight into the warehouse."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaProducer

from streams.ports import check_answering
from streams.settings import Settings
from warehouse.commands import Market, PayloadError, record
from warehouse.names import KINDS, unknown
from warehouse.reading import NothingPublishedError, open_snapshot

EXAMPLE = """Example: '{"label": "훈련", "starts_at": "2025-03-01T10:00+09:00", "ends_at": "2025-03-01T11:00+09:00"}'"""

MARKETS_A_COMMAND = 300
"""Keeps a command's record far below Kafka's limit of a megabyte."""


def market_commands(markets: Iterable[Market]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A market list as commands."""
    every = list(markets)
    for start in range(0, len(every), MARKETS_A_COMMAND):
        yield "markets_imported", {"markets": [msgspec.to_builtins(market) for market in every[start : start + MARKETS_A_COMMAND]]}


def payload_of(text: str) -> dict[str, Any]:
    """A payload as a person types it: a JSON object.

    Raises:
        PayloadError: it is something else.
    """
    try:
        payload = json.loads(text)
    except ValueError as error:
        raise PayloadError(f"The payload is not JSON: {error}. {EXAMPLE}") from None
    if not isinstance(payload, dict):
        raise PayloadError(f"The payload is {text[:100]}: not a JSON object. {EXAMPLE}")
    return payload


def refuse_unknown(published: Path, kind: str, payload: Mapping[str, Any]) -> None:
    """Refuse a place or an incident that nothing is known of in what is published here: it would be kept, or come to nothing, without anybody being told.

    Where nothing is published on this machine nothing is looked at.

    Raises:
        PayloadError: there is none of that name.
    """
    try:
        snapshot = open_snapshot(published)
    except NothingPublishedError:
        return
    with snapshot:
        places = [(str(payload.get("scope")), payload.get("scope_name")), ("market", payload.get("market_id")), ("service", payload.get("service"))]
        for what, name in places:
            if what in KINDS and isinstance(name, str) and (wrong := unknown(snapshot, what, name, "onnuri export market")):
                raise PayloadError(f"{kind}: {wrong} To send it all the same: --unchecked")
        for field in ("incident_id", "into"):
            name = payload.get(field)
            if isinstance(name, str) and snapshot.query("incident_by_id", incident_id=name).is_empty():
                raise PayloadError(f"{kind}: {field} is {name!r}: there is no such incident. Their ids: onnuri incidents. To send it all the same: --unchecked")


def say_commands(settings: Settings, actor: str, commands: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Check, then send; nothing is sent where one of them would be refused.

    Raises:
        PayloadError: a kind is unknown or its payload is not what it needs.
        BrokerAwayError: no broker is there.
        kafka.errors.KafkaError: none took them.
    """
    now = datetime.now(UTC)
    checked = [record(kind, payload, actor, now) for kind, payload in commands]
    check_answering(settings.kafka)
    producer = KafkaProducer(bootstrap_servers=settings.kafka.split(","), acks="all", client_id="onnuri-commands", **settings.access.arguments())
    try:
        sent = [
            producer.send(settings.topic("commands"), key=command_id.encode(), value=json.dumps(command, ensure_ascii=False).encode())
            for command_id, command in checked
        ]
        producer.flush(timeout=30)
        for one in sent:
            one.get(timeout=0)
    finally:
        producer.close(timeout=5)
