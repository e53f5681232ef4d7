"""What people say, as typed payloads, and how each is applied. The list of commands is the audit log.

A payload is parsed at the door, where a bad one is refused with a reason, and applied once in the transaction that keeps it.
"""

import uuid
from datetime import UTC, datetime
from typing import Annotated, Any

import duckdb
import msgspec

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class PayloadError(ValueError):
    """A command's payload is not what its kind needs."""


class Market(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One market of the list. ``cycle`` holds the last digits of its market days, as in ``2,7``."""

    market_id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    name: Text
    region: Text
    district: Text | None = None
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None
    cycle: str | None = None
    merchants: Annotated[int, msgspec.Meta(ge=0)] | None = None


class MarketsImported(msgspec.Struct, frozen=True, tag="markets_imported", tag_field="kind"):
    """Markets to add, or to replace where the id is known."""

    markets: list[Market]


class OperatorPeriod(msgspec.Struct, frozen=True, tag="operator_period", tag_field="kind"):
    """Who ran the platform, from when to when."""

    name: Text
    starts_at: Moment
    ends_at: Moment | None = None


class Promotion(msgspec.Struct, frozen=True, tag="promotion", tag_field="kind"):
    """A span in which more is bought, and by what factor where that is known."""

    label: Text
    starts_at: Moment
    ends_at: Moment
    factor: Annotated[float, msgspec.Meta(gt=0)] | None = None


class SpanExcluded(msgspec.Struct, frozen=True, tag="span_excluded", tag_field="kind"):
    """A span that expected sales must not learn from, everywhere or in one market."""

    label: Text
    starts_at: Moment
    ends_at: Moment
    market_id: Text | None = None


class MaintenanceAnnounced(msgspec.Struct, frozen=True, tag="maintenance_announced", tag_field="kind"):
    """Planned only if announced before it began: the command's own time is when."""

    label: Text
    starts_at: Moment
    ends_at: Moment
    service: Text | None = None


class ClaimEntered(msgspec.Struct, frozen=True, tag="claim_entered", tag_field="kind"):
    """A loss in KRW as somebody outside states it."""

    source: Text
    amount: Annotated[int, msgspec.Meta(ge=0)]
    incident_id: Text | None = None
    note: str = ""


class SurveyEntered(msgspec.Struct, frozen=True, tag="survey_entered", tag_field="kind"):
    """Share of a shortfall that buyers paid the same merchants by other means, with its range."""

    label: Text
    substitution: Share
    low: Share
    high: Share
    incident_id: Text | None = None
    note: str = ""


class IncidentDeclared(msgspec.Struct, frozen=True, tag="incident_declared", tag_field="kind"):
    """An incident that a person knows of."""

    scope: Text
    scope_name: Text
    onset_at: Moment
    ended_at: Moment | None = None
    note: str = ""


class IncidentCorrected(msgspec.Struct, frozen=True, tag="incident_corrected", tag_field="kind"):
    """A better onset or end of a known incident."""

    incident_id: Text
    onset_at: Moment | None = None
    ended_at: Moment | None = None


class IncidentMerged(msgspec.Struct, frozen=True, tag="incident_merged", tag_field="kind"):
    """Two incidents that are one."""

    incident_id: Text
    into: Text


Payload = (
    MarketsImported
    | OperatorPeriod
    | Promotion
    | SpanExcluded
    | MaintenanceAnnounced
    | ClaimEntered
    | SurveyEntered
    | IncidentDeclared
    | IncidentCorrected
    | IncidentMerged
)
_PARSER: msgspec.json.Decoder[Payload] = msgspec.json.Decoder(Payload)


def parse(kind: str, payload: str) -> Payload:
    """The payload, JSON text of an object, as the struct of its kind.

    Raises:
        PayloadError: unknown kind, or fields that are not what the kind needs.
    """
    fields = msgspec.json.decode(payload)
    try:
        return _PARSER.decode(msgspec.json.encode({**fields, "kind": kind}))
    except msgspec.ValidationError as error:
        raise PayloadError(f"{kind}: {error}") from None


def apply(connection: duckdb.DuckDBPyConnection, command_id: uuid.UUID, said_at: datetime, actor: str, payload: Payload) -> str:
    """Apply one command inside the open transaction and return what came of it, for the audit log."""
    run = connection.execute
    if isinstance(payload, MarketsImported):
        ids = [m.market_id for m in payload.markets]
        run("DELETE FROM market WHERE list_contains($ids, market_id)", {"ids": ids})
        rows = list({m.market_id: [m.market_id, m.name, m.region, m.district, m.latitude, m.longitude, m.cycle, m.merchants] for m in payload.markets}.values())
        connection.executemany("INSERT INTO market VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return f"{len(rows)} markets"
    if isinstance(payload, OperatorPeriod):
        run("INSERT INTO operator_period VALUES (?, ?, ?)", [payload.name, _utc(payload.starts_at), _utc(payload.ends_at)])
    elif isinstance(payload, Promotion):
        run("INSERT INTO promotion VALUES (?, ?, ?, ?)", [payload.label, _utc(payload.starts_at), _utc(payload.ends_at), payload.factor])
    elif isinstance(payload, SpanExcluded):
        run("INSERT INTO exclusion VALUES (?, ?, ?, ?)", [payload.label, _utc(payload.starts_at), _utc(payload.ends_at), payload.market_id])
    elif isinstance(payload, MaintenanceAnnounced):
        run("INSERT INTO maintenance VALUES (?, ?, ?, ?, ?)", [payload.label, payload.service, _utc(payload.starts_at), _utc(payload.ends_at), said_at])
    elif isinstance(payload, ClaimEntered):
        run("INSERT INTO claim VALUES (?, ?, ?, ?, ?)", [payload.source, payload.incident_id, payload.amount, said_at, payload.note])
    elif isinstance(payload, SurveyEntered):
        run("INSERT INTO survey VALUES (?, ?, ?, ?, ?, ?)", [payload.label, payload.incident_id, payload.substitution, payload.low, payload.high, payload.note])
    elif isinstance(payload, IncidentDeclared):
        evidence = msgspec.json.encode({"note": payload.note}).decode()
        row: list[Any] = [
            str(command_id),
            "declared",
            payload.scope,
            payload.scope_name,
            _utc(payload.onset_at),
            said_at,
            _utc(payload.ended_at),
            evidence,
            actor,
        ]
        run("INSERT INTO incident VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, $6), $7, NULL, $8, $9, NULL, 1)", row)
    elif isinstance(payload, IncidentCorrected):
        return _changed(
            run(
                "UPDATE incident SET onset_at = coalesce($1, onset_at), ended_at = coalesce($2, ended_at), version = version + 1 WHERE incident_id = $3",
                [_utc(payload.onset_at), _utc(payload.ended_at), payload.incident_id],
            )
        )
    else:
        return _changed(run("UPDATE incident SET merged_into = $1, version = version + 1 WHERE incident_id = $2", [payload.into, payload.incident_id]))
    return "applied"


def _changed(result: duckdb.DuckDBPyConnection) -> str:
    row = result.fetchone()
    return "applied" if row and row[0] else "no such incident"


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment else None
