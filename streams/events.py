"""The wire contract: one typed struct per topic, and nothing else.

Every record is one JSON object in UTF-8. Types are strict: ``"100"``, ``true`` and ``1.5`` are not money. Unknown fields
are ignored; unknown names (of a service, code, channel or issuer) are kept as they come. ``docs/asyncapi.yaml`` describes
the same contract for others.
"""

from typing import Annotated, Any, Literal

import msgspec

MAX_AMOUNT = 100_000_000
"""The largest amount of one event, in KRW."""

MAX_COUNT = 1_000_000_000
"""The most that a service may report of anything in ten seconds. A report a millisecond of this much, the most there can be, still adds up within 64 bits."""

MAX_RECORD_BYTES = 16_384
"""Longer records are refused unread; the longest honest one has about 700 bytes."""

MAX_COMMAND_BYTES = 1_048_576
"""The same for commands, which hold lists; it is Kafka's own limit unless a broker is told another."""

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Krw = Annotated[int, msgspec.Meta(ge=1, le=MAX_AMOUNT)]
Millis = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
Duration = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
Attempt = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Status = Literal["approved", "declined", "reversed"]


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that reached a decision. ``amount`` is KRW, ``occurred_at`` epoch milliseconds UTC."""

    event_id: Id
    purchase_id: Id | None = None
    attempt: Attempt | None = None
    occurred_at: Millis
    market_id: Id
    merchant_id: Id | None = None
    user_id: Id | None = None
    channel: Name | None = None
    status: Status
    amount: Krw
    response_code: Name | None = None
    issuer: Name | None = None
    latency_ms: Duration | None = None
    reverses: Id | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One error of a service; with service ``payment``, an attempt that the platform could not decide."""

    event_id: Id
    occurred_at: Millis
    service: Name
    code: Name
    purchase_id: Id | None = None
    attempt: Attempt | None = None
    market_id: Id | None = None
    merchant_id: Id | None = None
    user_id: Id | None = None
    channel: Name | None = None
    amount: Krw | None = None
    issuer: Name | None = None


class ServiceLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What a service did in the ten seconds that end at ``occurred_at``; waits are milliseconds."""

    occurred_at: Millis
    service: Name
    attempts: Count
    succeeded: Count
    failed: Count
    abandoned: Count = 0
    queue_length: Count = 0
    wait_ms_p50: Duration = 0
    wait_ms_p95: Duration = 0


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A change that a person made. ``kind`` names it, ``payload`` holds its fields (see ``warehouse.commands``)."""

    command_id: Id
    occurred_at: Millis
    actor: Name
    kind: Name
    payload: dict[str, Any]


class ClockTick(msgspec.Struct, frozen=True, kw_only=True):
    """Replay only: everything that occurred before ``now`` has been sent and acknowledged."""

    now: Annotated[int, msgspec.Meta(ge=0, le=4_102_444_800_000)]
    """Before the year 2100: what is reckoned from the clock must have room."""


CONTRACT: dict[str, type[msgspec.Struct]] = {
    "payments": Payment,
    "errors": Failure,
    "service_load": ServiceLoad,
    "commands": Command,
    "clock": ClockTick,
}
"""Topic (without prefix) to the struct of its records."""
