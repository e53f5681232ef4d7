"""What is ahead, on what is published: demand, capacity and headroom, a warning, and what the public is told. The same for command, pages and API."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from warehouse.analysis import HistoryError
from warehouse.analysis.capacity import Capacity, capacity_of
from warehouse.analysis.early_warning import Notice, course, notices
from warehouse.analysis.forecast import Forecast, forecast
from warehouse.analysis.headroom import Headroom, headroom
from warehouse.analysis.peaks import peak_minutes
from warehouse.analysis.remarks import Remark
from warehouse.analysis.scopes import touches
from warehouse.analysis.status import downtimes
from warehouse.analysis.times import SEOUL, aware, days_touched
from warehouse.losses import CLOSED, cycles, exclusions, opened_before, promotions
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
    return _forecasts(snapshot, [what], days, by)[0]


def _forecasts(snapshot: Snapshot, wanted: list[str], days: int, by: str) -> list[Forecast]:
    """One for each of the columns that are wanted, from one look at what is published."""
    now = as_of(snapshot)
    rows = aware(snapshot.query("demand_by_hour", start=now - (MARKETS_HISTORY if by == "market" else HISTORY), end=now, by=by))
    known = {
        "promotions": _multiplied(snapshot, now, days),
        "exclusions": exclusions(snapshot),
        "cycles": cycles(snapshot) if by == "market" else None,
    }
    return [forecast(rows.select("at", "region", "market_id", sales=pl.col(what)), as_of=now, days=days, by=by, **known) for what in wanted]


def ahead(snapshot: Snapshot, *, days: int = 60) -> Ahead:
    """The nation's sales and attempts, and its busiest minutes. Raises as ``forecast``."""
    sales, attempts = _forecasts(snapshot, ["sales", "attempts"], days, "nation")
    now = as_of(snapshot)
    minutes = _ordinary(aware(snapshot.query("attempts_by_minute", start=now - PEAKS_FROM, end=now)), exclusions(snapshot))
    tried = float(minutes["attempts"].sum())
    return Ahead(sales, attempts, peak_minutes(attempts, minutes), float(minutes["sales"].sum()) / tried if tried else 0.0)


def capacity(snapshot: Snapshot, service: str = "payment") -> Capacity:
    """From the service's own minutes since its present operator began. Raises as ``capacity_of``."""
    now = as_of(snapshot)
    begun = snapshot.query("operator_periods").filter(pl.col("starts_at") <= now.astimezone(UTC).replace(tzinfo=None))["starts_at"].max()
    start = max(now - HISTORY, begun.replace(tzinfo=UTC)) if isinstance(begun, datetime) else now - HISTORY
    return capacity_of(snapshot.query("load_by_minute", start=start, end=now, services=[service]), service)


def headroom_ahead(
    snapshot: Snapshot, service: str = "payment", proven: Capacity | None = None, *, days: int = 60, known: Ahead | None = None
) -> tuple[Headroom, Ahead]:
    """For each holiday from tomorrow on, and what it is held against; ``proven``: by a load test, else from operation. Raises as ``forecast`` and ``capacity_of``.

    Of today the warning tells: nobody can add capacity before a day that has begun.
    """
    found = known or ahead(snapshot, days=days)
    begun = 1 if len(found.peaks) > 1 else 0
    attempts = replace(found.attempts, hours=found.attempts.hours.slice(24 * begun), days=found.attempts.days.slice(begun))
    share = requests_an_attempt(snapshot, service)
    return headroom(found.peaks.slice(begun), attempts, proven or capacity(snapshot, service), amount=found.amount, share=share), found


def requests_an_attempt(snapshot: Snapshot, service: str) -> float | None:
    """Requests of a service for each attempt to pay, by hour, the median of the last weeks; 1 for ``payment``, None where nothing was reported."""
    if service == "payment":
        return 1.0
    now = as_of(snapshot)
    load = _ordinary(aware(snapshot.query("load_by_minute", start=now - PEAKS_FROM, end=now, services=["payment", service])), exclusions(snapshot))
    hours = load.group_by(pl.col("minute_at").dt.truncate("1h"), "service").agg(pl.col("attempts").sum())
    paid, mine = (hours.filter(pl.col("service") == name).select("minute_at", "attempts") for name in ("payment", service))
    ratios = mine.join(paid.filter(pl.col("attempts") > 0), on="minute_at", suffix="_paid").select(pl.col("attempts") / pl.col("attempts_paid")).to_series()
    median = ratios.median()
    return float(median) if isinstance(median, float) and median > 0 else None


def notices_today(snapshot: Snapshot, proven: float, service: str = "payment") -> list[Notice]:
    """The notices of the day so far against a ``proven`` capacity, requests a minute; none where no day before tells the course of a day.

    How attempts to pay move is known from the payments themselves, also those that another operator served. Raises as ``notices``.
    """
    now = as_of(snapshot)
    midnight = datetime.combine(now.astimezone(SEOUL).date(), datetime.min.time(), SEOUL).astimezone(UTC)
    past, today = {"start": now - WARNED_BY, "end": midnight}, {"start": midnight, "end": now}
    if service == "payment":
        before, load = (aware(snapshot.query("attempts_by_minute", **span)) for span in (past, today))
    else:
        before, load = (aware(snapshot.query("load_by_minute", **span, services=[service])) for span in (past, today))
    try:
        return notices(load, course(_ordinary(before, exclusions(snapshot)), midnight), proven)
    except HistoryError:
        return []


def public_feed(snapshot: Snapshot) -> pl.DataFrame:
    """Downtimes for everybody as ``downtimes`` has them, with the market's name (``market``, null where it is in no list), as of the state's own time; times aware, in Seoul."""
    now = snapshot.manifest.watermark or snapshot.manifest.now
    span = {"start": now - timedelta(days=40), "end": now + timedelta(days=365)}
    found = downtimes(snapshot.query("incidents_in_span", **span), snapshot.query("maintenance_in_span", **span), now)
    names = snapshot.query("market_list").select("market_id", "market")
    return found.join(names, on="market_id", how="left", maintain_order="left").with_columns(pl.col("begin", "end").dt.replace_time_zone("Asia/Seoul"))


def _multiplied(snapshot: Snapshot, now: datetime, days: int) -> pl.DataFrame | None:
    """Promotions known so far, announced times without any service ahead, and pent-up demand after them."""
    until = now + timedelta(days=days)
    said = promotions(snapshot, until)
    rows = [] if said is None else [{**row, "low": None, "high": None} for row in said.select("starts_at", "ends_at", "factor").iter_rows(named=True)]
    closed = aware(snapshot.query("maintenance_in_span", start=now, end=until)).filter(
        pl.col("announced_at") < pl.col("starts_at"),
        touches("payment"),
        pl.col("ends_at") - pl.col("starts_at") >= CLOSED,
    )
    for start, end in closed.select("starts_at", "ends_at").iter_rows():
        rows.append({"starts_at": max(start, now.astimezone(UTC)), "ends_at": end, "factor": NOTHING, "low": None, "high": None})
    opening = opened_before(snapshot, until)
    if opening is not None and opening >= now - timedelta(days=PENT_UP_DAYS):
        first = opening.astimezone(SEOUL).date()
        for day in range(PENT_UP_DAYS):
            midnight = datetime.combine(first + timedelta(days=day), datetime.min.time(), SEOUL)
            low, middle, high = (1 + (factor - 1) * PENT_UP_KEPT**day for factor in sorted(PENT_UP))
            over = midnight.date() < now.astimezone(SEOUL).date()
            # of days that are over the factor is not known: they are no example of ordinary demand
            of = {"factor": None, "low": None, "high": None} if over else {"factor": middle, "low": low, "high": high}
            rows.append({"starts_at": midnight.astimezone(UTC), "ends_at": (midnight + timedelta(days=1)).astimezone(UTC), **of})
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
        touched |= set(days_touched(start, end))
    here = pl.col("minute_at").dt.convert_time_zone("Asia/Seoul").dt.date()
    kept = minutes.filter(~here.is_in(list(touched)))
    return kept if len(kept) else minutes
