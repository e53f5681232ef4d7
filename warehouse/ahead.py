"""What is ahead, on what is published: demand, capacity and headroom, a warning, spans compared, and what the public is told. The same for command, pages and API."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from warehouse.analysis import AnalysisError, HistoryError
from warehouse.analysis.capacity import Capacity, capacity_by_test, capacity_of
from warehouse.analysis.comparison import Comparison, Span, compare
from warehouse.analysis.early_warning import Notice, course, notices
from warehouse.analysis.errors import need_columns
from warehouse.analysis.forecast import Forecast, forecast
from warehouse.analysis.gate import Gate, judged
from warehouse.analysis.headroom import Headroom, headroom
from warehouse.analysis.peaks import peak_minutes
from warehouse.analysis.remarks import Remark
from warehouse.analysis.status import downtimes
from warehouse.analysis.times import SEOUL
from warehouse.losses import CLOSED, cycles, exclusions, loss_between, promotions
from warehouse.reading import Snapshot

HISTORY = timedelta(days=1_200)
MARKETS_HISTORY = timedelta(days=400)
"""Of markets by hour less is taken: a year holds each feast once, and a row a market and hour is much."""

PEAKS_FROM = timedelta(days=35)
"""Minutes of so many days tell how busiest minutes stand out of their hours."""

WARNED_BY = timedelta(days=42)
"""Whence the course of a day is learnt: four weeks behind a switch-off of two."""

PENT_UP = (2.0, 1.0, 4.0)
"""What a service meets on its first day after a long time without: a middle factor over an ordinary day, and its range of 90 %; of what it exceeds one each day keeps ``PENT_UP_KEPT``. Assumptions: no data hold it."""

NOTHING = 1e-6
"""The factor of a time without service."""

PENT_UP_KEPT, PENT_UP_DAYS = 0.7, 14
MOST_INCIDENTS = 20
"""Incidents of a span whose loss is estimated, the longest first: each takes a second or two."""


@dataclass(frozen=True)
class Ahead:
    """Demand ahead: ``sales`` and ``attempts`` of the nation by hour and day, ``peaks``: attempts in the busiest minute of each day."""

    sales: Forecast
    attempts: Forecast
    peaks: pl.DataFrame
    amount: float
    """KRW of an attempt, as of late."""

    @property
    def warnings(self) -> list[Remark]:
        """What both say of themselves, once."""
        return list(dict.fromkeys([*self.sales.warnings, *self.attempts.warnings]))


def as_of(snapshot: Snapshot) -> datetime:
    """Up to when the published state is complete, aware.

    Raises:
        HistoryError: nothing is.
    """
    if snapshot.manifest.watermark is None:
        raise HistoryError("Nothing is complete yet: expected a watermark in the manifest. Wait until the worker has read the topics.")
    return snapshot.manifest.watermark


def demand_ahead(snapshot: Snapshot, *, days: int = 60, by: str = "nation", what: str = "sales") -> Forecast:
    """Forecast ``sales`` (KRW) or ``attempts`` from the day of the watermark on. Raises as ``forecast``."""
    now = as_of(snapshot)
    rows = _aware(snapshot.query("demand_by_hour", start=now - (MARKETS_HISTORY if by == "market" else HISTORY), end=now, by=by))
    known = exclusions(snapshot)
    return forecast(
        rows.select("at", "region", "market_id", sales=pl.col(what)),
        as_of=now,
        days=days,
        by=by,
        promotions=_multiplied(snapshot, known, now, days),
        exclusions=known.filter(pl.col("market_id").is_null()) if len(known) else None,
        cycles=cycles(snapshot) if by == "market" else None,
    )


def ahead(snapshot: Snapshot, *, days: int = 60) -> Ahead:
    """The nation's sales and attempts, and its busiest minutes. Raises as ``forecast``."""
    sales, attempts = (demand_ahead(snapshot, days=days, what=what) for what in ("sales", "attempts"))
    now = as_of(snapshot)
    minutes = _ordinary(_aware(snapshot.query("attempts_by_minute", start=now - PEAKS_FROM, end=now)), exclusions(snapshot))
    tried = float(minutes["attempts"].sum())
    return Ahead(sales, attempts, peak_minutes(attempts, minutes), float(minutes["sales"].sum()) / tried if tried else 0.0)


def capacity(snapshot: Snapshot, service: str = "payment", test: pl.DataFrame | None = None) -> Capacity:
    """From a load test where there is one, else from the service's own minutes since its present operator began. Raises as ``capacity_of``."""
    if test is not None:
        return capacity_by_test(test, service)
    now = as_of(snapshot)
    begun = snapshot.query("operator_periods").filter(pl.col("starts_at") <= now.astimezone(UTC).replace(tzinfo=None))["starts_at"].max()
    start = max(now - HISTORY, begun.replace(tzinfo=UTC)) if isinstance(begun, datetime) else now - HISTORY
    return capacity_of(snapshot.query("load_by_minute", start=start, end=now), service)


def headroom_ahead(
    snapshot: Snapshot, service: str = "payment", test: pl.DataFrame | None = None, *, days: int = 60, known: Ahead | None = None
) -> tuple[Headroom, Ahead]:
    """For each holiday ahead, and what it is held against. Raises as ``forecast`` and ``capacity_of``."""
    found = known or ahead(snapshot, days=days)
    return headroom(found.peaks, found.attempts, capacity(snapshot, service, test), amount=found.amount, share=requests_an_attempt(snapshot, service)), found


def requests_an_attempt(snapshot: Snapshot, service: str) -> float:
    """Requests of a service for each attempt to pay, by hour, the median of the last weeks; 1 for ``payment``, and where nothing was reported."""
    if service == "payment":
        return 1.0
    now = as_of(snapshot)
    load = _ordinary(_aware(snapshot.query("load_by_minute", start=now - PEAKS_FROM, end=now)), exclusions(snapshot))
    hours = load.group_by(pl.col("minute_at").dt.truncate("1h"), "service").agg(pl.col("attempts").sum())
    paid, mine = (hours.filter(pl.col("service") == name).select("minute_at", "attempts") for name in ("payment", service))
    ratios = mine.join(paid.filter(pl.col("attempts") > 0), on="minute_at", suffix="_paid").select(pl.col("attempts") / pl.col("attempts_paid")).to_series()
    median = ratios.median()
    return float(median) if isinstance(median, float) and median > 0 else 1.0


def notices_today(snapshot: Snapshot, proven: float, service: str = "payment") -> list[Notice]:
    """The notices of the day so far against a ``proven`` capacity, requests a minute; none where no day before tells the course of a day.

    How attempts to pay move is known from the payments themselves, also those that another operator served. Raises as ``notices``.
    """
    now = as_of(snapshot)
    midnight = datetime.combine(now.astimezone(SEOUL).date(), datetime.min.time(), SEOUL).astimezone(UTC)
    past, today = {"start": now - WARNED_BY, "end": midnight}, {"start": midnight, "end": now}
    if service == "payment":
        before, load = (_aware(snapshot.query("attempts_by_minute", **span)) for span in (past, today))
    else:
        before, load = (_aware(snapshot.query("load_by_minute", **span)).filter(pl.col("service") == service) for span in (past, today))
    try:
        return notices(load, course(_ordinary(before, exclusions(snapshot)), midnight), proven)
    except HistoryError:
        return []


def span_of(snapshot: Snapshot, name: str, start: datetime, end: datetime, *, losses: bool = True) -> Span:
    """All that a comparison needs of [start, end), aware. With ``losses`` the nation's incidents are costed, and announced switch-offs by what had been forecast for them."""
    span = {"start": start, "end": end}
    incidents = snapshot.query("incidents_in_span", **span)
    maintenance = snapshot.query("maintenance_in_span", **span)
    queue = snapshot.query("load_by_minute", **span).filter(pl.col("service") == "queue")
    purchases = snapshot.query("failed_purchases_with_buyers", **span, scope="nation", scope_name="")
    told = [*snapshot.query("notices_in_span", **span)["announced_at"], *incidents.filter(pl.col("kind") == "declared")["detected_at"]]
    found = Span(name, start, end, snapshot.query("attempts_by_minute", **span), incidents, maintenance, purchases, queue, told)
    return replace(found, lost=_lost(snapshot, incidents, start, end), planned_cost=_switched_off(snapshot, maintenance, start, end)) if losses else found


def compared(snapshot: Snapshot, first: tuple[str, datetime, datetime], second: tuple[str, datetime, datetime], *, losses: bool = True) -> Comparison:
    """Two named spans side by side. Raises as ``compare``."""
    return compare(span_of(snapshot, *first, losses=losses), span_of(snapshot, *second, losses=losses))


def operator_spans(snapshot: Snapshot) -> list[tuple[str, datetime, datetime]]:
    """Who ran the platform when, within what was counted, aware; the newest word on a start holds."""
    now = as_of(snapshot)
    counted = snapshot.query("first_minute").item()
    first = counted.replace(tzinfo=UTC) if counted else now
    rows = snapshot.query("operator_periods").unique("starts_at", keep="last", maintain_order=True).sort("starts_at")
    spans = [
        (row["name"], max(row["starts_at"].replace(tzinfo=UTC), first), min(row["ends_at"].replace(tzinfo=UTC) if row["ends_at"] else now, now))
        for row in rows.iter_rows(named=True)
    ]
    return [(name, start, end) for name, start, end in spans if start < end]


def gate_judged(snapshot: Snapshot, gate: Gate, known: Ahead | None = None) -> pl.DataFrame:
    """The criteria of a launch, held against the incidents since and the forecast up to it. Raises as ``forecast``."""
    now = as_of(snapshot)
    today = now.astimezone(SEOUL).date()
    quiet = None
    if gate.soak_from is not None:
        begun = datetime.combine(gate.soak_from, datetime.min.time(), SEOUL)
        over = [(row["ended_at"] or now.replace(tzinfo=None)) for row in snapshot.query("incidents_in_span", start=begun, end=now).iter_rows(named=True)]
        quiet = max((today - max([gate.soak_from, *((moment.replace(tzinfo=UTC)).astimezone(SEOUL).date() for moment in over)])).days, 0)
    found = known or ahead(snapshot, days=min(max((gate.launch - today).days + PENT_UP_DAYS, 14), 370))
    near = found.peaks.filter(pl.col("date").is_between(gate.launch, gate.launch + timedelta(days=PENT_UP_DAYS)))
    most = near["q99"].max()
    return judged(gate, today, quiet_days=quiet, needed_p99=float(most) if isinstance(most, float) else None)


def public_feed(snapshot: Snapshot) -> pl.DataFrame:
    """Downtimes for everybody, as of the state's own time; times aware, in Seoul."""
    now = snapshot.manifest.watermark or snapshot.manifest.now
    span = {"start": now - timedelta(days=40), "end": now + timedelta(days=365)}
    found = downtimes(snapshot.query("incidents_in_span", **span), snapshot.query("maintenance_in_span", **span), now)
    return found.with_columns(pl.col("begin", "end").dt.replace_time_zone("Asia/Seoul"))


def read_test(test: pl.DataFrame) -> pl.DataFrame:
    """A load test's steps, checked. Raises FrameError."""
    need_columns(test, "load test", ("offered", "failed_share") if "offered" in getattr(test, "columns", ()) else ("concurrency", "throughput"))
    return test


def _lost(snapshot: Snapshot, incidents: pl.DataFrame, start: datetime, end: datetime) -> float | None:
    """Gross shortfall of the nation's incidents within the span; None where one of the longest cannot be estimated."""
    spans = [
        (max(row["onset_at"].replace(tzinfo=UTC), start), min(row["ended_at"].replace(tzinfo=UTC) if row["ended_at"] else end, end))
        for row in incidents.filter(pl.col("scope") == "nation").iter_rows(named=True)
    ]
    total = 0.0
    for low, high in sorted(spans, key=lambda one: one[0] - one[1])[:MOST_INCIDENTS]:
        try:
            total += (
                loss_between(snapshot, low.replace(second=0, microsecond=0), high.replace(second=0, microsecond=0)).lost
                if high - low >= timedelta(minutes=10)
                else 0.0
            )
        except AnalysisError:
            return None
    return total


def _switched_off(snapshot: Snapshot, maintenance: pl.DataFrame, start: datetime, end: datetime) -> float | None:
    """What announced times without service would have sold, by the forecast from what went before: the mean of its hours' medians; None where nothing did."""
    total = 0.0
    for row in maintenance.filter(pl.col("announced_at") < pl.col("starts_at"), pl.col("ends_at").is_not_null()).iter_rows(named=True):
        low, high = max(row["starts_at"].replace(tzinfo=UTC), start), min(row["ends_at"].replace(tzinfo=UTC), end)
        if high <= low:
            continue
        try:
            rows = _aware(snapshot.query("demand_by_hour", start=low - HISTORY, end=low, by="nation"))
            known = exclusions(snapshot, before=low).filter(pl.col("ends_at") <= low, pl.col("market_id").is_null())
            days = min((high.astimezone(SEOUL).date() - low.astimezone(SEOUL).date()).days + 1, 370)
            found = forecast(rows, as_of=low, days=days, promotions=promotions(snapshot, low), exclusions=known if len(known) else None)
        except AnalysisError:
            return None
        hours = found.hours.with_columns(pl.col("at").dt.replace_time_zone("Asia/Seoul").dt.convert_time_zone("UTC"))
        wanted = float(hours.filter(pl.col("at") >= low, pl.col("at") < high)["q50"].sum())
        sold = float(_aware(snapshot.query("demand_by_hour", start=low, end=high, by="nation"))["sales"].sum())
        total += max(wanted - sold, 0.0)
    return total


def _multiplied(snapshot: Snapshot, known: pl.DataFrame, now: datetime, days: int) -> pl.DataFrame | None:
    """Promotions known so far, announced times without any service ahead, and pent-up demand after them."""
    until = now + timedelta(days=days)
    said = promotions(snapshot, until)
    rows = [] if said is None else [{**row, "low": None, "high": None} for row in said.select("starts_at", "ends_at", "factor").iter_rows(named=True)]
    closed = _aware(snapshot.query("maintenance_in_span", start=now, end=until)).filter(
        pl.col("announced_at") < pl.col("starts_at"),
        pl.col("service").is_null() | (pl.col("service") == "payment"),
        pl.col("ends_at") - pl.col("starts_at") >= CLOSED,
    )
    for start, end in closed.select("starts_at", "ends_at").iter_rows():
        rows.append({"starts_at": max(start, now.astimezone(UTC)), "ends_at": end, "factor": NOTHING, "low": None, "high": None})
    opened = [
        end
        for start, end in known.select("starts_at", "ends_at").iter_rows()
        if end is not None and end - start >= CLOSED and now - timedelta(days=PENT_UP_DAYS) <= end <= now + timedelta(days=days)
    ]
    for opening in sorted(set(opened))[-1:]:
        first = opening.astimezone(SEOUL).date()
        for day in range(PENT_UP_DAYS):
            midnight = datetime.combine(first + timedelta(days=day), datetime.min.time(), SEOUL)
            # days that are over are examples of no ordinary demand: their factor is not known
            factors = [1 + (factor - 1) * PENT_UP_KEPT**day for factor in PENT_UP]
            past = midnight < now
            rows.append(
                {
                    "starts_at": midnight.astimezone(UTC),
                    "ends_at": (midnight + timedelta(days=1)).astimezone(UTC),
                    "factor": factors[0],
                    "low": None if past else factors[1],
                    "high": None if past else factors[2],
                }
            )
    schema: dict[str, Any] = {
        "starts_at": pl.Datetime("us", "UTC"),
        "ends_at": pl.Datetime("us", "UTC"),
        "factor": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row") if rows else None


def _ordinary(minutes: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Without the days that anything national touched."""
    touched: set[date] = set()
    for start, end in known.filter(pl.col("market_id").is_null()).select("starts_at", "ends_at").iter_rows():
        day, last = start.astimezone(SEOUL).date(), end.astimezone(SEOUL).date()
        touched |= {day + timedelta(days=n) for n in range((last - day).days + 1)}
    here = pl.col("minute_at").dt.convert_time_zone("Asia/Seoul").dt.date()
    kept = minutes.filter(~here.is_in(list(touched)))
    return kept if len(kept) else minutes


def _aware(frame: pl.DataFrame) -> pl.DataFrame:
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone is None]
    return frame.with_columns(pl.col(times).dt.replace_time_zone("UTC"))
