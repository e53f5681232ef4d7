"""What people say, as typed payloads, and how each is applied. The list of commands is the audit log.

A payload is parsed at the door, where a bad one is refused with a reason, and applied once in the transaction that keeps it.
"""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, get_args

import duckdb
import msgspec

from warehouse.analysis.times import BOUNDS, can_be_meant
from warehouse.telling import note
from warehouse.wholes import apart, hand_over, settle

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Note = Annotated[str, msgspec.Meta(max_length=4000)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
MOST_KRW = 1_000_000_000_000_000
Krw = Annotated[int, msgspec.Meta(ge=0, le=MOST_KRW)]
SignedKrw = Annotated[int, msgspec.Meta(ge=-MOST_KRW, le=MOST_KRW)]
Factor = Annotated[float, msgspec.Meta(gt=0, le=1000)]
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
    cycle: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    merchants: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None


class MarketsImported(msgspec.Struct, frozen=True, tag="markets_imported", tag_field="kind"):
    """Markets to add, or to replace where the id is known."""

    markets: Annotated[list[Market], msgspec.Meta(min_length=1, max_length=10_000)]


class OperatorPeriod(msgspec.Struct, frozen=True, tag="operator_period", tag_field="kind"):
    """Who ran the platform, from when to when. The newest word on a start holds."""

    name: Text
    starts_at: Moment
    ends_at: Moment | None = None


class Promotion(msgspec.Struct, frozen=True, tag="promotion", tag_field="kind"):
    """A span in which more is bought, and by what factor where that is known."""

    label: Text
    starts_at: Moment
    ends_at: Moment
    factor: Factor | None = None


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
    """A loss in KRW as somebody outside states it, of one incident: ``parse`` refuses a claim about none, which could be held against nothing."""

    source: Text
    amount: Krw
    incident_id: Text | None = None
    note: Note = ""


class SurveyEntered(msgspec.Struct, frozen=True, tag="survey_entered", tag_field="kind"):
    """Share of a shortfall that buyers paid the same merchants by other means, with its range."""

    label: Text
    substitution: Share
    low: Share
    high: Share
    incident_id: Text | None = None
    note: Note = ""


class Withdrawn(msgspec.Struct, frozen=True, tag="withdrawn", tag_field="kind"):
    """Something that was said in error, word for word: ``said`` is its kind, ``words`` its payload."""

    said: Literal["operator_period", "promotion", "span_excluded", "maintenance_announced", "claim_entered", "survey_entered"]
    words: dict[str, Any]
    note: Note = ""


Scope = Literal["nation", "region", "channel", "issuer", "service", "market"]
ScopeName = Annotated[str, msgspec.Meta(max_length=200)]


class IncidentDeclared(msgspec.Struct, frozen=True, tag="incident_declared", tag_field="kind"):
    """An incident that a person knows of; ``scope_name`` says which region, market, … and is empty for the nation."""

    scope: Scope
    onset_at: Moment
    scope_name: ScopeName = ""
    ended_at: Moment | None = None
    note: Note = ""


class IncidentCorrected(msgspec.Struct, frozen=True, tag="incident_corrected", tag_field="kind"):
    """A better onset, end or scope of a known incident. What detection says later does not take it back."""

    incident_id: Text
    onset_at: Moment | None = None
    ended_at: Moment | None = None
    scope: Scope | None = None
    scope_name: ScopeName = ""
    note: Note = ""


class IncidentMerged(msgspec.Struct, frozen=True, tag="incident_merged", tag_field="kind"):
    """Two incidents that are one: ``into`` then lasts as long as both."""

    incident_id: Text
    into: Text
    note: Note = ""


class ReportIssued(msgspec.Struct, frozen=True, tag="report_issued", tag_field="kind"):
    """An edition of an incident's loss report as it was given out; ``inputs`` and ``document`` are SHA-256 of what it was made from and of its PDF; the window is what its figures are about."""

    incident_id: Text
    stage: Literal["first", "interim", "final"]
    manifest_sequence: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    inputs: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    document: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    lost: SignedKrw | None = None
    low: SignedKrw | None = None
    high: SignedKrw | None = None
    note: Note = ""
    window_start: Moment | None = None
    window_end: Moment | None = None


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
    | ReportIssued
    | Withdrawn
)
KINDS: tuple[str, ...] = tuple(kind.__struct_config__.tag for kind in get_args(Payload))
"""What can be said, as the field ``kind`` names it."""

_PARSER: msgspec.json.Decoder[Payload] = msgspec.json.Decoder(Payload)


Kept = OperatorPeriod | Promotion | SpanExcluded | MaintenanceAnnounced | ClaimEntered | SurveyEntered
KEPT_IN: dict[type[Kept], tuple[str, str | None]] = {
    OperatorPeriod: ("operator_period", None),
    Promotion: ("promotion", None),
    SpanExcluded: ("exclusion", None),
    MaintenanceAnnounced: ("maintenance", "announced_at"),
    ClaimEntered: ("claim", "claimed_at"),
    SurveyEntered: ("survey", None),
}
"""What is kept as it is said: the table, whose columns are the fields, and the column that has when it was said."""

APPLIED, NO_INCIDENT, NOT_SAID = "applied", "no such incident", "nothing that is kept was said in these words"

LONGEST_ACTOR = 64
"""Characters of the name of who says something, as the wire contract has it (``streams.events``)."""


ROUNDED = timedelta(minutes=1)
"""Times are given to the minute: one that has begun may be given by its end."""


def parse(kind: str, payload: str, said_at: datetime) -> Payload:
    """The payload, JSON text of an object, as the struct of its kind; ``said_at`` (aware) is when it was said. What is returned can be applied.

    Raises:
        PayloadError: unknown kind, or fields that are not what the kind needs.
    """
    parsed = _decoded(kind, payload)
    said = msgspec.structs.asdict(parsed)
    for name, value in said.items():
        if isinstance(value, datetime) and not can_be_meant(value):
            raise PayloadError(f"{kind}: {name} is {value.isoformat()}: expected a time {BOUNDS}")
    starts, ends = (said.get("starts_at", said.get("onset_at")), said.get("ends_at", said.get("ended_at")))
    if starts is not None and ends is not None and ends <= starts:
        raise PayloadError(f"{kind}: it ends at {ends.isoformat()}, which is not after its start at {starts.isoformat()}")
    if isinstance(parsed, IncidentDeclared | IncidentCorrected):
        _check_incident(kind, parsed, said_at)
    if isinstance(parsed, ClaimEntered) and parsed.incident_id is None:
        raise PayloadError(f"{kind}: incident_id is missing: a claim is held against the loss of one incident. Their ids: onnuri incidents")
    if isinstance(parsed, SurveyEntered) and not parsed.low <= parsed.substitution <= parsed.high:
        raise PayloadError(f"{kind}: substitution is {parsed.substitution}, low {parsed.low}, high {parsed.high}: expected it between the two")
    if isinstance(parsed, Withdrawn):
        parse(parsed.said, json.dumps(parsed.words), said_at)
    if "\\u0000" in payload or "\x00" in payload:
        raise PayloadError(f"{kind}: a text holds the character U+0000")
    return parsed


def _decoded(kind: str, payload: str) -> Payload:
    if kind not in KINDS:
        raise PayloadError(f"{kind}: there is no such kind. There are: {', '.join(KINDS)}")
    try:
        fields = {name: _with_seconds(value) if name.endswith("_at") else value for name, value in msgspec.json.decode(payload).items()}
        return _PARSER.decode(msgspec.json.encode({**fields, "kind": kind}))
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
        raise PayloadError(f"{kind}: {error}") from None


def _check_incident(kind: str, parsed: IncidentDeclared | IncidentCorrected, said_at: datetime) -> None:
    if parsed.scope is not None and (parsed.scope == "nation") == bool(parsed.scope_name):
        raise PayloadError(f"{kind}: scope_name is {parsed.scope_name!r}: expected a name with every scope but nation, and none with that")
    for name, moment, expected in (
        ("onset_at", parsed.onset_at, "an incident that has begun. What is planned: maintenance_announced"),
        ("ended_at", parsed.ended_at, "an end that has come. Leave ended_at empty until it is over, or the public status calls it resolved while it goes on"),
    ):
        if moment is not None and moment > said_at + ROUNDED:
            raise PayloadError(f"{kind}: {name} is {moment.isoformat()}, after this was said at {said_at.isoformat(timespec='seconds')}: expected {expected}")
    if isinstance(parsed, IncidentCorrected) and parsed == IncidentCorrected(parsed.incident_id):
        raise PayloadError(f"{kind}: it changes nothing: expected onset_at, ended_at, scope or note")


def record(kind: str, payload: dict[str, Any], actor: str, now: datetime) -> tuple[str, dict[str, Any]]:
    """One command as it goes into the topic ``commands``: its new id, which is the key, and its fields. ``now`` is aware.

    Raises:
        PayloadError: unknown kind, fields that are not what the kind needs, or a name that the worker would refuse.
    """
    parse(kind, json.dumps(payload), now)
    if not 1 <= len(actor) <= LONGEST_ACTOR:
        raise PayloadError(f"{kind}: actor has {len(actor)} characters: expected 1 to {LONGEST_ACTOR}, since it is kept who said it")
    if "\x00" in actor or not _is_text(actor):
        raise PayloadError(f"{kind}: actor is {actor!a}: expected text in UTF-8 without U+0000")
    command_id = str(uuid.uuid4())
    return command_id, {"command_id": command_id, "occurred_at": int(now.timestamp() * 1000), "actor": actor, "kind": kind, "payload": payload}


def _is_text(value: str) -> bool:
    """Whether it can be written down: an argument of a shell that is no UTF-8 comes as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_seconds(value: object) -> object:
    """A time as people write it, without its seconds, as RFC 3339 wants it; anything else as it is."""
    try:
        return datetime.fromisoformat(value).isoformat() if isinstance(value, str) else value
    except ValueError:
        return value


def apply(connection: duckdb.DuckDBPyConnection, command_id: uuid.UUID, said_at: datetime, actor: str, payload: Payload) -> str:
    """Apply one command inside the open transaction and return what came of it, for the audit log."""
    run = connection.execute
    if isinstance(payload, MarketsImported):
        ids = [m.market_id for m in payload.markets]
        run("DELETE FROM market WHERE list_contains($ids, market_id)", {"ids": ids})
        rows = list({m.market_id: [m.market_id, m.name, m.region, m.district, m.latitude, m.longitude, m.cycle, m.merchants] for m in payload.markets}.values())
        connection.executemany("INSERT INTO market VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return f"{len(rows)} markets"
    if isinstance(payload, Kept):
        return _keep(connection, said_at, payload)
    if isinstance(payload, Withdrawn):
        return _withdraw(connection, said_at, payload)
    if isinstance(payload, IncidentDeclared):
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
        note(connection, row[0], "declared")
        return APPLIED
    if isinstance(payload, ReportIssued):
        return _issue(connection, command_id, said_at, actor, payload)
    return _change_incident(connection, actor, payload)


def _keep(connection: duckdb.DuckDBPyConnection, said_at: datetime, payload: Kept) -> str:
    if isinstance(payload, ClaimEntered | SurveyEntered) and payload.incident_id is not None and _incident(connection, payload.incident_id) is None:
        return NO_INCIDENT
    if isinstance(payload, OperatorPeriod):
        connection.execute("DELETE FROM operator_period WHERE starts_at = ?", [_utc(payload.starts_at)])
    table, when = KEPT_IN[type(payload)]
    row = _columns(payload) | ({when: said_at} if when else {})
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    return APPLIED


def _withdraw(connection: duckdb.DuckDBPyConnection, said_at: datetime, payload: Withdrawn) -> str:
    """Take back one of those that were said in these words: what was entered twice by mistake is there once then."""
    kept = parse(payload.said, json.dumps(payload.words), said_at.replace(tzinfo=UTC))
    assert isinstance(kept, Kept), "Withdrawn names these kinds only"
    row, (table, _) = _columns(kept), KEPT_IN[type(kept)]
    same = " AND ".join(f"{name} IS NOT DISTINCT FROM ?" for name in row)
    found = connection.execute(f"SELECT max(rowid) FROM {table} WHERE {same}", list(row.values())).fetchall()[0][0]
    if found is None:
        return NOT_SAID
    connection.execute(f"DELETE FROM {table} WHERE rowid = ?", [found])
    return APPLIED


def _columns(payload: Kept) -> dict[str, Any]:
    return {name: _utc(value) if isinstance(value, datetime) else value for name, value in msgspec.structs.asdict(payload).items()}


def _issue(connection: duckdb.DuckDBPyConnection, command_id: uuid.UUID, said_at: datetime, actor: str, payload: ReportIssued) -> str:
    if not connection.execute("SELECT 1 FROM incident WHERE incident_id = ?", [payload.incident_id]).fetchone():
        return NO_INCIDENT
    figures = [payload.lost, payload.low, payload.high, payload.manifest_sequence, payload.inputs, payload.document, payload.note]
    row = [command_id, payload.incident_id, payload.stage, said_at, actor, *figures, _utc(payload.window_start), _utc(payload.window_end)]
    connection.execute("INSERT INTO report_edition VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return APPLIED


def _change_incident(connection: duckdb.DuckDBPyConnection, actor: str, payload: IncidentCorrected | IncidentMerged) -> str:
    found = _incident(connection, payload.incident_id)
    if found is None:
        return NO_INCIDENT
    return _correct(connection, actor, found, payload) if isinstance(payload, IncidentCorrected) else _merge(connection, found, payload)


def _correct(connection: duckdb.DuckDBPyConnection, actor: str, found: dict[str, Any], payload: IncidentCorrected) -> str:
    changed = {"onset_at": _utc(payload.onset_at) or found["onset_at"], "ended_at": _utc(payload.ended_at) or found["ended_at"]}
    if changed["ended_at"] is not None and changed["ended_at"] <= changed["onset_at"]:
        return "the end would not be after the onset"
    if payload.scope is not None:
        changed |= {"scope": payload.scope, "scope_name": payload.scope_name}
    # A time that a person gave is no measurement: who gave it stays with the incident.
    given = {name: actor for name in ("onset_at", "ended_at") if getattr(payload, name) is not None}
    own_end = str(changed["ended_at"]) if payload.ended_at is not None else None
    _change(connection, payload.incident_id, changed, {"note": payload.note, "corrected": given, "own_end": own_end}, "corrected")
    whole, before, ended = settle(connection, payload.incident_id) or (payload.incident_id, False, False)
    if whole != payload.incident_id and (known := _incident(connection, whole)):
        first = {"onset_at": min(known["onset_at"], changed["onset_at"])}
        _change(connection, whole, first, {}, "closed" if ended and not before else "corrected")
    return APPLIED


def _merge(connection: duckdb.DuckDBPyConnection, found: dict[str, Any], payload: IncidentMerged) -> str:
    into = _incident(connection, payload.into)
    if into is None:
        return "no such incident to merge into"
    if payload.into == payload.incident_id:
        return "an incident is not merged into itself"
    if found["merged_into"] is not None:
        return f"it is merged into {found['merged_into']} already"
    if into["merged_into"] is not None:
        return f"that one is merged into {into['merged_into']}: merge into this one"
    peaks = [peak for peak in (found["peak_failure_rate"], into["peak_failure_rate"]) if peak is not None]
    apart(connection, payload.incident_id)
    _change(connection, payload.incident_id, {"merged_into": payload.into}, {"note": payload.note}, "merged")
    hand_over(connection, payload.incident_id, payload.into)
    settle(connection, payload.into)
    both = {"onset_at": min(found["onset_at"], into["onset_at"]), "peak_failure_rate": max(peaks, default=None)}
    _change(connection, payload.into, both, {}, "corrected")
    return APPLIED


def _incident(connection: duckdb.DuckDBPyConnection, incident_id: str) -> dict[str, Any] | None:
    names = ("onset_at", "ended_at", "merged_into", "peak_failure_rate")
    rows = connection.execute(f"SELECT {', '.join(names)} FROM incident WHERE incident_id = ?", [incident_id]).fetchall()
    return dict(zip(names, rows[0], strict=True)) if rows else None


def _change(connection: duckdb.DuckDBPyConnection, incident_id: str, changed: dict[str, Any], said: dict[str, Any], action: str) -> None:
    evidence = "json_merge_patch(coalesce(evidence, '{}'), ?::JSON)"
    added = msgspec.json.encode({name: value for name, value in said.items() if value}).decode()
    columns = ", ".join(f"{name} = ?" for name in changed)
    connection.execute(
        f"UPDATE incident SET {columns}, evidence = {evidence}, version = version + 1 WHERE incident_id = ?", [*changed.values(), added, incident_id]
    )
    note(connection, incident_id, action)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC).replace(tzinfo=None) if moment else None
