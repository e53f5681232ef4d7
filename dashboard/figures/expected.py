"""What would have been sold step by step: the band behind sales."""

from datetime import datetime, timedelta
from itertools import count, pairwise, takewhile

import polars as pl

from dashboard.figures.asking import ask
from dashboard.formatting import SEOUL
from warehouse.analysis import AnalysisError, LossEstimate
from warehouse.analysis.baseline import expected_sales
from warehouse.losses import HISTORY, exclusions, loss_between
from warehouse.reading import Snapshot

BAND_STEP = timedelta(minutes=5)
LEVEL_STEP = timedelta(minutes=30)
"""Whole steps of every band: from where an estimate of the rest of a day begins."""

LONGEST = timedelta(days=28)
"""So much is asked for at a time; an incident that nobody ends may last for months."""

AWARE = pl.Datetime("us", "Asia/Seoul")
"""The type of times in frames."""

NOTHING_EXPECTED = pl.DataFrame(schema={"at": AWARE, "expected": pl.Float64, "low": pl.Float64, "high": pl.Float64})


def known_until(incidents: pl.DataFrame, day_start: datetime) -> datetime:
    """Until when sales tell what to expect of the day: its start, or the onset of its first nationwide incident.

    Until an incident the band does not chase the sales that are compared with it; once there is one, the band knows what the
    estimate of its loss knows, so that both pages tell the same.
    """
    onsets = incidents.filter(pl.col("scope") == "nation")["onset_at"]
    if onsets.is_empty():
        return day_start
    first: datetime = min(onsets)
    return day_start + (first - day_start) // BAND_STEP * BAND_STEP


def day_level(snapshot: Snapshot, day_start: datetime, as_of: datetime) -> LossEstimate | None:
    """What the rest of the day from the half-hour of ``as_of`` would sell by the estimate that losses are made with, market by market.

    It knows market days and promotions. None where it cannot be told.
    """
    midnight = day_start + timedelta(days=1)
    # of an incident that began days ago, the day's own share
    start = max(day_start, day_start + (as_of - day_start) // LEVEL_STEP * LEVEL_STEP)
    try:
        return loss_between(snapshot, start, midnight, known_until=midnight)
    except AnalysisError:
        return None


def expected_day(snapshot: Snapshot, day_start: datetime, as_of: datetime, level: LossEstimate | None) -> pl.DataFrame:
    """Expected sales of the whole day from what was known ``as_of``: at, expected, low, high (KRW a step of five minutes)."""
    band = expected_between(snapshot, day_start, day_start + timedelta(days=1), as_of=as_of, step=BAND_STEP)
    return levelled(band, level.expected, rest_of_day(level)) if level else band


def rest_of_day(level: LossEstimate) -> pl.Expr:
    """The steps that ``day_level`` is about."""
    return pl.col("at") >= level.start.replace(tzinfo=SEOUL)


def levelled(course: pl.DataFrame, expected: float, within: pl.Expr) -> pl.DataFrame:
    """``course`` brought to the level at which its steps ``within`` a span add up to ``expected``."""
    summed = float(course.filter(within)["expected"].sum())
    return course.with_columns(pl.col("expected", "low", "high") * (expected / summed)) if summed > 0 else course


def expected_between(
    snapshot: Snapshot, start: datetime, end: datetime, *, as_of: datetime, step: timedelta, scope: str = "nation", scope_name: str = ""
) -> pl.DataFrame:
    """Expected sales of a scope from ``start`` to ``end`` by ``step``: at, expected, low, high. Empty where there is no ordinary day to learn from."""
    minutes = step // timedelta(minutes=1)
    history = ask(snapshot, "sales_by_step", start=as_of - HISTORY, end=as_of, minutes=minutes, scope=scope, scope_name=scope_name)
    if history.is_empty() or end <= start:
        return NOTHING_EXPECTED
    sold, excluded = history.select("at", "sales"), exclusions(snapshot)
    spans = pairwise([start, *takewhile(lambda at: at < end, (start + LONGEST * n for n in count(1))), end])
    found = pl.concat(expected_sales(sold, low, high, as_of=as_of, exclusions=excluded, step=step) for low, high in spans)
    return found.select(pl.col("at").cast(AWARE), "expected", "low", "high")
