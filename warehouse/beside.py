"""What else lay in a window whose loss was estimated, so that nobody takes it for part of the outage, or counts it twice."""

from datetime import UTC, datetime

from warehouse.analysis import Remark
from warehouse.analysis.times import local
from warehouse.reading import Snapshot

PARTS = ("region", "channel", "market")
"""Scopes whose sales are a part of the nation's; those of any other are the nation's."""

NAMED = 5
"""So many other incidents are named, the rest is counted."""


def remarks_beside(
    snapshot: Snapshot, start: datetime, end: datetime, *, scope: str = "nation", scope_name: str = "", incident_id: str | None = None
) -> list[Remark]:
    """Announced maintenance of payments within [start, end), aware, and where the window is an incident's, other incidents that count the same sales."""
    maintenance = _maintenance_within(snapshot, start, end)
    return maintenance if incident_id is None else [*maintenance, *_overlaps(snapshot, start, end, scope, scope_name, incident_id)]


def _maintenance_within(snapshot: Snapshot, start: datetime, end: datetime) -> list[Remark]:
    spans = snapshot.query("spans_without_normal_sales", now=snapshot.manifest.now).filter(reason="maintenance").select("starts_at", "ends_at")
    low, high = (moment.astimezone(UTC).replace(tzinfo=None) for moment in (start, end))
    within = dict.fromkeys((max(begun, low), min(over or high, high)) for begun, over in spans.iter_rows())
    return [Remark("maintenance_within", {"start": _local(begun), "end": _local(over)}) for begun, over in within if begun < over]


def _overlaps(snapshot: Snapshot, start: datetime, end: datetime, scope: str, scope_name: str, incident_id: str) -> list[Remark]:
    region_of = dict(snapshot.query("market_list").select("market_id", "region").iter_rows())
    others = [
        row["incident_id"]
        for row in snapshot.query("incidents_in_span", start=start, end=end).iter_rows(named=True)
        if row["incident_id"] != incident_id and _same_sales((scope, scope_name), (row["scope"], row["scope_name"]), region_of)
    ]
    named = ", ".join(others[:NAMED]) + (", …" if len(others) > NAMED else "")
    return [Remark("overlaps", {"count": len(others), "incidents": named})] if others else []


def _same_sales(one: tuple[str, str], other: tuple[str, str], region_of: dict[str, str | None]) -> bool:
    """Whether some sale belongs to both scopes."""
    (scope, name), (other_scope, other_name) = one, other
    if scope not in PARTS or other_scope not in PARTS:
        return True
    if scope == other_scope:
        return name == other_name
    if "channel" in {scope, other_scope}:
        return True
    region, market = (name, other_name) if scope == "region" else (other_name, name)
    return (region_of.get(market) or "unknown") == region


def _local(moment: datetime) -> datetime:
    return local(moment.replace(tzinfo=UTC))
