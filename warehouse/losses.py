"""Estimates on what is published, the same for command, demo and pages: an incident's window and what was lost in it."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import polars as pl

from warehouse.analysis import (
    AnalysisError,
    AttemptsEstimate,
    HistoryError,
    LaunchScenario,
    LossEstimate,
    NetEstimate,
    Reconciliation,
    Remark,
    Share,
    estimate_attempts,
    estimate_loss,
    launch_scenario,
    merchants_loss,
    net_by_purchases,
    reconcile,
)
from warehouse.analysis.launch import FACTORS
from warehouse.analysis.times import SEOUL, aware, local
from warehouse.beside import remarks_beside
from warehouse.reading import NotKnownError, Snapshot
from warehouse.taking_back import TakenBack, taken_back

HISTORY = timedelta(days=63)
"""How far back expected sales may learn: a month behind a switch-off of some weeks."""

STEP = timedelta(minutes=10)
"""Sales are taken in steps of this length, and windows are whole steps."""

SOLD_BY = ("nation", "region", "channel", "market")
"""Scopes by which sales are counted."""

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
CLOSED = timedelta(days=3)
LAUNCH = timedelta(days=14)
"""A service that was closed so long has launched anew for so long."""


@dataclass(frozen=True)
class LossAccount:
    """All that is known of what a window cost, in KRW.

    ``net`` is None where too few purchases with an id failed; ``substitution`` None without a survey. ``merchants`` (None without a net): the merchants'
    loss over the share paid by other means, as ``merchants_loss`` gives it. ``reconciliation`` puts every figure side by side. ``launch`` is there within
    two weeks after a long time without service: then the loss is a function of demand, and ``gross`` is only what it would be if demand went on as in the hours before.
    ``taken_back`` is what was approved in the window and taken back: it is no shortfall of the ``gross``, whose warnings say where it is more than ordinary.
    """

    gross: LossEstimate
    attempts: AttemptsEstimate
    net: NetEstimate | None
    substitution: Share | None
    merchants: pl.DataFrame | None
    reconciliation: Reconciliation
    launch: LaunchScenario | None
    taken_back: TakenBack


def measured_scope(scope: str) -> str:
    """The scope whose sales tell of an incident's: its own where sales are counted by it, else (an issuer's, a service's) the whole nation's."""
    return scope if scope in SOLD_BY else "nation"


def incident_window(snapshot: Snapshot, incident_id: str) -> tuple[datetime, datetime]:
    """Whole steps from the one with the onset to the one with the end, also those that are not counted yet: an estimate cuts them and says so. While it is open, to the last closed step. Aware, UTC.

    Raises:
        NotKnownError: there is no such incident, or it was merged into another, which the message names.
    """
    refuse_merged(snapshot, incident_id)
    found = snapshot.query("incident_by_id", incident_id=incident_id)
    if found.is_empty():
        raise NotKnownError(f"There is no incident {incident_id!r}. List them with: onnuri incidents")
    row = found.row(0, named=True)
    ended_at = row["ended_at"].replace(tzinfo=UTC) if row["ended_at"] else None
    start, end = window(row["onset_at"].replace(tzinfo=UTC), ended_at, snapshot.manifest.watermark)
    return start, whole_end(ended_at, end)


def refuse_merged(snapshot: Snapshot, incident_id: str) -> None:
    """An incident that was merged into another is told of there: a part alone has neither its span nor what was said of it.

    Raises:
        NotKnownError: it was merged into another, which the message names.
    """
    into = merged(snapshot).get(incident_id)
    if into is not None:
        raise NotKnownError(f"The incident {incident_id!r} was merged into {into!r}: ask about this one.")


def merged(snapshot: Snapshot) -> dict[str, str]:
    """The incidents that became part of another, each with that one."""
    return dict(snapshot.query("incidents_merged").rows())


def window(onset_at: datetime, ended_at: datetime | None, watermark: datetime | None) -> tuple[datetime, datetime]:
    """Whole steps that hold [onset_at, ended_at), but nothing that the watermark has not closed. Times aware."""
    start = _floor(onset_at)
    closed = _floor(watermark) if watermark else start
    end = min(_ceil(ended_at), closed) if ended_at else closed
    return start, max(start, end)


def whole_end(ended_at: datetime | None, end: datetime) -> datetime:
    """Where the window would end if all of it were counted: after the step with the end, or at ``end``, as far as it is counted, while the incident is open. Times aware."""
    return max(end, _ceil(ended_at)) if ended_at else end


def loss_between(
    snapshot: Snapshot,
    start: datetime,
    end: datetime,
    *,
    scope: str = "nation",
    scope_name: str = "",
    level: float = 0.9,
    known_until: datetime | None = None,
) -> LossEstimate:
    """Gross shortfall of a scope in the whole steps that hold [start, end), as far as they are known; aware times. Of ``measured_scope``.

    The window that was estimated is the estimate's own (``estimated_window``); where it is not the one asked for, its warnings say so. ``known_until`` is by default
    the end of the last closed step; a later one is for those who know that nothing more will come, or want what is expected of hours that have not been.

    Raises:
        HistoryError: no ordinary day is left to learn from.
        AnalysisError: the span or the level cannot be used, or nothing of the span is known yet.
    """
    known = known_until or _known_until(snapshot)
    if start >= known:
        raise AnalysisError(
            f"start: expected a time before {local(known)}, as far as sales are known, got {local(start)}. Ask for an earlier span, or again later."
        )
    first, last = _floor(start), min(_ceil(end), known)
    channel = scope_name if scope == "channel" else None
    sales = snapshot.query(
        "sales_by_market_and_step", start=first - HISTORY, end=last, minutes=STEP // MINUTE, fine_hours=_fine_hours(first, last), channel=channel
    )
    return estimate_loss(
        aware(sales),
        start,
        _ceil(end, MINUTE),  # of a minute that has begun the estimate would leave out the seconds
        markets=_hit(sales, scope, scope_name),
        as_of=last,
        complete_until=known_until or snapshot.manifest.watermark,
        cycles=cycles(snapshot),
        promotions=promotions(snapshot, end),
        exclusions=exclusions(snapshot),
        level=level,
        step=STEP,
    )


def _hit(sales: pl.DataFrame, scope: str, scope_name: str) -> list[str] | None:
    """The markets of a scope, None for all; the others tell what it would have sold in the same hours.

    Raises:
        HistoryError: none of them ever sold.
    """
    if scope not in {"region", "market"}:
        return None
    of_scope = pl.col("region" if scope == "region" else "market_id") == scope_name
    found: list[str] = sales.filter(of_scope)["market_id"].unique().sort().to_list()
    if not found:
        raise HistoryError(f"sales: expected some of {scope_name!r} in the {HISTORY.days} days before the window's end, got none. Ask for a later span.")
    return found


def estimated_window(estimate: LossEstimate) -> tuple[datetime, datetime]:
    """The window that was estimated, aware, in Seoul."""
    return estimate.start.replace(tzinfo=SEOUL), estimate.end.replace(tzinfo=SEOUL)


def incident_account(snapshot: Snapshot, incident_id: str, *, factors: tuple[float, float] = FACTORS, level: float = 0.9) -> LossAccount:
    """What an incident cost, within its scope, by every method there is.

    Raises:
        NotKnownError: there is no such incident.
        HistoryError, AnalysisError: as ``loss_between``.
    """
    start, end = incident_window(snapshot, incident_id)
    row = snapshot.query("incident_by_id", incident_id=incident_id).row(0, named=True)
    return account_between(snapshot, start, end, scope=row["scope"], scope_name=row["scope_name"] or "", incident_id=incident_id, factors=factors, level=level)


def account_between(
    snapshot: Snapshot,
    start: datetime,
    end: datetime,
    *,
    scope: str = "nation",
    scope_name: str = "",
    incident_id: str | None = None,
    factors: tuple[float, float] = FACTORS,
    level: float = 0.9,
) -> LossAccount:
    """The same for any window, aware times, every figure in the window that was estimated and of ``measured_scope``; claims and surveys are those about ``incident_id``.

    ``factors`` are the least and the greatest demand of a launch.

    Raises:
        HistoryError, AnalysisError: as ``loss_between``.
    """
    gross = loss_between(snapshot, start, end, scope=scope, scope_name=scope_name, level=level)
    start, end = estimated_window(gross)
    within = {"start": start, "end": end, "scope": scope, "scope_name": scope_name}
    taken = taken_back(snapshot, start - HISTORY, start, end, scope=scope, scope_name=scope_name)
    unknown = demand_open(snapshot, gross)
    launch = launch_of(snapshot, gross, scope=scope, scope_name=scope_name, factors=factors, level=level) if unknown else None
    as_before = [Remark("launch_as_before")] if unknown and launch is None else []
    beside = remarks_beside(snapshot, start, end, scope=scope, scope_name=scope_name, incident_id=incident_id)
    gross = replace(gross, warnings=[*gross.warnings, *as_before, *beside, *taken.remarks])
    purchases = aware(snapshot.query("failed_purchases_with_buyers", **within))
    load = snapshot.query("services_in_span", start=start, end=end)
    failed = int(snapshot.query("failed_attempts_in_span", **within).item())
    # load is that of the whole platform: it says nothing of a part
    national = measured_scope(scope) == "nation"
    of_all = national and len(load) > 0
    attempts = estimate_attempts(purchases, start, end, load=load if of_all else None, failed_attempts=failed)
    interval = (gross.lost, gross.low, gross.high)
    net = _net(interval, purchases, start, end, snapshot.manifest.watermark, level)
    substitution = _substitution(snapshot, incident_id)
    found = reconcile(
        interval,
        attempts=attempts,
        net=(net.value, net.low, net.high) if net else None,
        substitution=substitution,
        claims=snapshot.query("claims_about", incident_id=incident_id),
        gross_remarks=gross.warnings,
        net_remarks=net.remarks if net else (),
    )
    return LossAccount(gross, attempts, net, substitution, merchants_loss(net.value, net.low, net.high) if net else None, found, launch, taken)


def launch_of(
    snapshot: Snapshot, gross: LossEstimate, *, scope: str = "nation", scope_name: str = "", factors: tuple[float, float] = FACTORS, level: float = 0.9
) -> LaunchScenario | None:
    """The scope's loss on a launch, of which ``gross`` leaves demand open (``demand_open``); None where the scope sold nothing before it, such as a channel that began with it.

    Raises:
        AnalysisError: as ``launch_scenario``.
    """
    start, end = estimated_window(gross)
    try:
        return launch_between(snapshot, start, end, scope=scope, scope_name=scope_name, factor_low=factors[0], factor_high=factors[1], level=level)
    except HistoryError:
        return None


def demand_open(snapshot: Snapshot, gross: LossEstimate) -> bool:
    """Whether nobody knows the demand that a gross shortfall stands on: on a launch, where no market that was not hit tells what was wanted in the same hours."""
    return on_launch(snapshot, estimated_window(gross)[0]) and not any(remark.code == "controls_used" for remark in gross.warnings)


def on_launch(snapshot: Snapshot, start: datetime) -> bool:
    """Whether a window that begins at ``start``, aware, begins within two weeks after a long time without service: its gross then holds only if demand went on as before."""
    opened = opened_before(snapshot, start)
    return opened is not None and start - opened < LAUNCH


def launch_between(
    snapshot: Snapshot,
    start: datetime,
    end: datetime,
    *,
    scope: str = "nation",
    scope_name: str = "",
    factor_low: float,
    factor_high: float,
    level: float = 0.9,
) -> LaunchScenario:
    """A scope's loss on a launch as a function of a demand factor between the two, aware times.

    Raises:
        HistoryError, AnalysisError: as ``launch_scenario``.
    """
    sales = snapshot.query("sales_by_step", start=start - HISTORY, end=end, minutes=STEP // MINUTE, scope=scope, scope_name=scope_name)
    return launch_scenario(
        aware(sales.select("at", "sales")),
        start,
        end,
        opened=opened_before(snapshot, start),
        factor_low=factor_low,
        factor_high=factor_high,
        promotions=promotions(snapshot, end),
        exclusions=exclusions(snapshot, before=start),
        level=level,
    )


def opened_before(snapshot: Snapshot, start: datetime) -> datetime | None:
    """When the service last opened after three days or more without ordinary sales (announced or excluded), aware; None if that is not known.

    What was so in some markets alone does not count, nor does an incident: however long it was, people could see the service and tried.
    """
    spans = exclusions(snapshot, before=start).filter(
        pl.col("reason") != "incident",
        pl.col("market_id").is_null(),
        pl.col("ends_at") <= start.astimezone(UTC),
        pl.col("ends_at") - pl.col("starts_at") >= CLOSED,
    )
    return spans["ends_at"].max() if len(spans) else None  # type: ignore[return-value]


def cycles(snapshot: Snapshot) -> pl.DataFrame | None:
    """Market days of 5-day cycles, None where no market has one."""
    found = snapshot.query("market_cycles")
    return found if len(found) else None


def promotions(snapshot: Snapshot, end: datetime) -> pl.DataFrame | None:
    """Promotions that began before ``end``, aware, None where there were none."""
    found = snapshot.query("promotions_before", end=end)
    return aware(found) if len(found) else None


def _net(
    gross: tuple[float, float, float], purchases: pl.DataFrame, start: datetime, end: datetime, watermark: datetime | None, level: float
) -> NetEstimate | None:
    """None where less than an hour after the window is known yet, or too few purchases with an id failed."""
    if watermark is None or watermark - end < HOUR:
        return None
    try:
        found = net_by_purchases(gross, purchases, start, end, as_of=watermark, level=level)
    except AnalysisError:
        return None
    early = [] if watermark - end >= timedelta(days=1) else [Remark("net_so_far", {"until": local(watermark)})]
    return replace(found, remarks=[*found.remarks, *early])


def _substitution(snapshot: Snapshot, incident_id: str | None) -> Share | None:
    found = snapshot.query("surveys_about", incident_id=incident_id)
    return Share(*found.select("substitution", "low", "high").row(-1)) if len(found) else None


def _fine_hours(start: datetime, end: datetime) -> list[int]:
    """The hours of the day (UTC) that a window, or the same window an hour earlier or later, begins or ends within.

    Elsewhere the method sums up whole hours, so that finer rows would change nothing and cost most of the time.
    """
    edges = [moment.astimezone(UTC) + shift * HOUR for moment in (start, end) for shift in (-1, 0, 1)]
    return sorted({edge.hour for edge in edges if edge.minute or edge.second or edge.microsecond})


def exclusions(snapshot: Snapshot, before: datetime | None = None) -> pl.DataFrame:
    """Spans that are no example of ordinary sales, aware: ``starts_at``, ``ends_at``, ``market_id`` (null: everywhere), ``region`` (of a whole one's), ``label``, ``reason``; only those that began before a moment."""
    found = aware(snapshot.query("spans_without_normal_sales", now=snapshot.manifest.now))
    return found if before is None else found.filter(pl.col("starts_at") < before.astimezone(UTC))


def _known_until(snapshot: Snapshot) -> datetime:
    """The end of the last step that the watermark has closed."""
    if snapshot.manifest.watermark is None:
        raise AnalysisError("Sales: expected some that are counted, got none. Start the worker, or ask again later.")
    return _floor(snapshot.manifest.watermark)


def _ceil(moment: datetime, step: timedelta = STEP) -> datetime:
    return _floor(moment - timedelta(microseconds=1), step) + step


def _floor(moment: datetime, step: timedelta = STEP) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // step.total_seconds() * step.total_seconds(), UTC)
