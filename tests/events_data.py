"""Events to test with: made in sight, as JSON bytes of the wire contract, and read back without Kafka."""

import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from streams.decoding import EARLIEST_MS, Layout, Span, decode
from streams.events import CONTRACT
from streams.keying import hider, keyed
from warehouse.ingest import Chunk, Refused

NOON = datetime(2025, 3, 1, 3, 0, tzinfo=UTC)
"""Twelve o'clock in Seoul on the launch day."""

KEY = b"test"


def ms(moment: datetime) -> int:
    """Epoch milliseconds."""
    return int(moment.timestamp() * 1000)


def payment(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A payment of 25,000 KRW at noon, with its own ids by ``number``; None takes a field away."""
    default = {
        "event_id": str(uuid.UUID(int=number)),
        "purchase_id": f"purchase-{number}",
        "attempt": 1,
        "occurred_at": ms(NOON),
        "market_id": "m0001",
        "merchant_id": "s1",
        "user_id": f"buyer-{number}",
        "channel": "card",
        "status": "approved",
        "amount": 25_000,
        "response_code": "00",
        "issuer": "bc",
    }
    return {key: value for key, value in {**default, **fields}.items() if value is not None}


def failure(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A timeout of the payment with the same ``number``."""
    default = {
        "event_id": f"failure-{number}",
        "purchase_id": f"purchase-{number}",
        "attempt": 1,
        "occurred_at": ms(NOON),
        "service": "payment",
        "code": "timeout",
        "market_id": "m0001",
        "merchant_id": "s1",
        "user_id": f"buyer-{number}",
        "channel": "card",
        "amount": 25_000,
    }
    return {key: value for key, value in {**default, **fields}.items() if value is not None}


def encoded(event: object) -> bytes:
    """As a producer would send it."""
    return event if isinstance(event, bytes) else json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def chunk(topic: str, events: Iterable[object], *, first_offset: int = 0, partition: int = 0, now: datetime = NOON, sent: Sequence[int] | None = None) -> Chunk:
    """Events as the line hands them to the writer; in a replay each is judged by when it was ``sent`` (epoch milliseconds)."""
    values = [encoded(event) for event in events]
    decoded = decode(values, Layout(CONTRACT[topic]), Span(EARLIEST_MS, ms(now) if sent is None else sent))
    frame = keyed(decoded.frame.with_columns((pl.col("row") + first_offset).alias("offset_at")), hider(KEY))
    refused = [Refused(first_offset + r.row, r.reason, r.detail, None, values[r.row]) for r in decoded.refusals]
    return Chunk(topic, partition, first_offset, first_offset + len(values), frame, refused)
