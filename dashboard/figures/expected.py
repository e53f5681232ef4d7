"""Asking the analysis what would have been sold: the band of a day, the loss of an incident."""

from datetime import datetime, timedelta

import polars as pl

from dashboard.figures.asking import ask
from warehouse.analysis import HistoryError, LossEstimate, estimate_loss, expected_sales
from warehouse.reading import Snapshot

HISTORY = timedelta(days=63)
"""Sales of so many days before are looked at: enough for a month behind a switch-off of two weeks."""

BAND_STEP = timedelta(minutes=5)
LOSS_STEP = timedelta(minutes=10)


def expected_day(snapshot: Snapshot, day_start: datetime) -> pl.DataFrame:
    """Expected sales of the whole day from ``day_start``: at, expected, low, high (KRW a step of five minutes).

    Known are only the days before, so that the band neither moves during the day nor learns from an incident. Empty
    where there is no history.
    """
    return expected_between(snapshot, day_start, day_start + timedelta(days=1), as_of=day_start, step=BAND_STEP)


def expected_between(
    snapshot: Snapshot, start: datetime, end: datetime, *, as_of: datetime, step: timedelta, scope: str = "nation", scope_name: str = ""
) -> pl.DataFrame:
    """Expected sales of a scope from ``start`` to ``end`` by ``step``, from what was known ``as_of``: at, expected, low, high."""
    history = ask(snapshot, "sales_by_step", start=as_of - HISTORY, end=as_of, minutes=_minutes(step), scope=scope, scope_name=scope_name)
    try:
        found = expected_sales(history.select("at", "sales"), start, end, as_of=as_of, exclusions=exclusions(snapshot), step=step)
    except HistoryError:
        return pl.DataFrame(schema={"at": start_type(), "expected": pl.Float64, "low": pl.Float64, "high": pl.Float64})
    return found.select(_aware(found["at"]), "expected", "low", "high")


def loss_between(snapshot: Snapshot, start: datetime, end: datetime, *, scope: str, scope_name: str, incident_id: str) -> LossEstimate | None:
    """What was lost in a scope from ``start`` to ``end``, with an interval of 90 %; none where there is no history to learn from."""
    sales = ask(snapshot, "sales_by_market_and_step", start=start - HISTORY, end=end, minutes=_minutes(LOSS_STEP), scope=scope, scope_name=scope_name)
    try:
        return estimate_loss(sales, start, end, as_of=end, exclusions=exclusions(snapshot, but=incident_id), level=0.9)
    except HistoryError:
        return None


def exclusions(snapshot: Snapshot, *, but: str = "") -> pl.DataFrame:
    """Spans that are no example of ordinary sales, without the incident ``but``: label, starts_at, ends_at."""
    return ask(snapshot, "spans_without_normal_sales", now=snapshot.manifest.now, but=but)


def start_type() -> pl.Datetime:
    """The type of aware times in frames."""
    return pl.Datetime("us", "Asia/Seoul")


def _aware(times: pl.Series) -> pl.Series:
    """Times of the analysis in Seoul: naive ones are local there."""
    zone = getattr(times.dtype, "time_zone", None)
    aware = times.dt.convert_time_zone("Asia/Seoul") if zone else times.dt.replace_time_zone("Asia/Seoul")
    return aware.cast(start_type())


def _minutes(step: timedelta) -> int:
    return step // timedelta(minutes=1)
