"""Two spans of time side by side, such as two operators': how well the platform worked in each, like for like, with intervals and with what cannot be compared."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from warehouse.analysis.availability import availability
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.panel import Array
from warehouse.analysis.resampling import Cells, Drawn, Measure, away_of, complement, median_of, rate_of
from warehouse.analysis.span_days import Span, alike, days_of, laid_out, local_minute, local_minutes, usual_hours
from warehouse.analysis.times import DAY, local

_MINUTE = timedelta(minutes=1)

MEASURES = {
    "days": "count", "planned_minutes": "count", "incident_minutes": "count", "incidents": "count", "availability_total": "share", "availability_unplanned": "share", "availability_demand": "share",
    "failure_rate": "share", "failure_rate_alike": "share", "never_succeeded": "share", "wait_p95": "seconds", "detect_minutes": "minutes", "notice_minutes": "minutes", "recover_minutes": "minutes",
    "loss_per_million": "won", "planned_cost": "won",
}  # fmt: skip
"""Every measure and its unit; shares are of 1."""


@dataclass(frozen=True)
class Comparison:
    """``table`` has a row a measure; ``covered`` is the share of each span's attempts at kinds of day and loads that both have, ``left_out`` how many windows of incidents its loss does not hold.

    ``on_launch``: whether each span's loss is in part one of a launch, which holds only if demand went on as before; then ``why`` is ``launch``.

    Columns: ``measure``, ``unit``; of each span ``first``, ``first_low``, ``first_high``, ``second``, …; ``difference`` (second less first) with ``low`` and ``high``; ``why`` it cannot be compared, and then no difference is given (empty: it can).
    """

    table: pl.DataFrame
    covered: tuple[float, float]
    left_out: tuple[int, int]
    on_launch: tuple[bool, bool] = (False, False)


def compare(first: Span, second: Span, *, calendar: pl.DataFrame | None = None, seed: int = 0) -> Comparison:
    """Every measure of both spans, of the whole nation: incidents of a part count in none; one of no length has none. Intervals are those of ``resampling``, drawn with a fixed seed.

    ``failure_rate_alike`` is directly standardised: the failure rates at each kind of day and load, weighted alike for both, where both have been.

    Raises:
        AnalysisError: a span ends before it starts, or they overlap.
        FrameError: a column is missing.
    """
    for span in (first, second):
        if span.end < span.start:
            raise AnalysisError(f"{span.name}: expected an end after the start {_told(span.start)}, got {_told(span.end)}.")
        need_columns(span.minutes, f"{span.name}: minutes", ("minute_at", "attempts", "failed", "sales"))
    if max(first.start, second.start) < min(first.end, second.end):
        raise AnalysisError(
            f"Spans: expected two that do not overlap, got {first.name} from {_told(first.start)} to {_told(first.end)} and {second.name} from {_told(second.start)} to {_told(second.end)}."
        )
    rng = np.random.default_rng(seed)
    cells, covered = alike(first, second, calendar)
    usual = usual_hours([laid_out(span) for span in (first, second)])
    drawn = [_measures(span, cells[n], usual, rng) for n, span in enumerate((first, second))]
    rows = []
    for name, unit in MEASURES.items():
        (one, draws_one), (two, draws_two) = drawn[0][name], drawn[1][name]
        why = one.why or two.why
        both = one.value is not None and two.value is not None
        spread = draws_two - draws_one if both and len(draws_one) and len(draws_two) else np.empty(0)
        ends = np.quantile(spread, (0.05, 0.95)) if len(spread) else (None, None)
        rows.append(
            [
                name,
                unit,
                one.value,
                one.low,
                one.high,
                two.value,
                two.low,
                two.high,
                # A span too short for an interval would give a difference that is chance alone.
                two.value - one.value if not why and one.value is not None and two.value is not None else None,
                *ends,
                why,
            ]
        )
    figures = ["first", "first_low", "first_high", "second", "second_low", "second_high", "difference", "low", "high"]
    schema = {"measure": pl.String, "unit": pl.String, **dict.fromkeys(figures, pl.Float64), "why": pl.String}
    return Comparison(pl.DataFrame(rows, schema=schema, orient="row"), covered, (first.left_out, second.left_out), (first.on_launch, second.on_launch))


def _measures(span: Span, cells: Cells, usual: Array, rng: np.random.Generator) -> dict[str, Drawn]:
    """Each measure with its draws."""
    nothing: Drawn = (Measure(None, why="no_data"), np.empty(0))
    if span.start == span.end:
        return dict.fromkeys(MEASURES, nothing)
    # As minutes and availability are the nation's, so are number and times: an incident of one region is no outage of the platform.
    incidents = span.incidents.filter(pl.col("scope") == "nation")
    known = availability(incidents, span.maintenance, span.start, span.end)
    days = days_of(laid_out(span), usual)
    open_minutes, count = float(days.open.sum()), len(days.open)
    minutes, demand, tried, failed = days.struck
    every = Cells(days.attempts[:, None], days.failed[:, None], tried[:, None], failed[:, None], np.ones(1))
    total = float(span.minutes["sales"].sum())
    return {
        "days": (Measure(known.minutes / DAY), np.empty(0)),
        "planned_minutes": (Measure(float(known.planned_minutes)), np.empty(0)),
        "incident_minutes": (Measure(float(known.incident_minutes)), np.empty(0)),
        "incidents": (Measure(float(len(incidents))), np.empty(0)),
        "availability_total": (Measure(known.total), np.empty(0)),
        "availability_unplanned": complement(away_of(minutes, open_minutes, open_minutes, count, rng)),
        "availability_demand": complement(away_of(demand, float(days.demand.sum()), open_minutes, count, rng)),
        "failure_rate": rate_of(every, open_minutes, rng),
        "failure_rate_alike": rate_of(cells, open_minutes, rng, "nothing_alike") if len(cells.tried) else nothing,
        "never_succeeded": _share(span.purchases, rng),
        "wait_p95": _waits(span.waits),
        "detect_minutes": _times(incidents, "onset_at", "detected_at", rng),
        "notice_minutes": _to_notice(incidents, span.notices, rng),
        "recover_minutes": _times(incidents, "onset_at", "ended_at", rng),
        "loss_per_million": (_lost(span, total), np.empty(0)),
        "planned_cost": (Measure(span.planned_cost, why="" if span.planned_cost is not None else "not_estimated"), np.empty(0)),
    }


def _lost(span: Span, total: float) -> Measure:
    """Lost of a million wanted. On a launch nobody knows the demand: the figure holds only if it went on as before, and says so."""
    if span.lost is None:
        return Measure(None, why="not_estimated")
    return Measure(span.lost / (total + max(span.lost, 0.0)) * 1e6 if total + span.lost > 0 else None, why="launch" if span.on_launch else "")


def _share(purchases: pl.DataFrame, rng: np.random.Generator) -> Drawn:
    """Of purchases that failed at least once, those that never succeeded; days stray."""
    if purchases.is_empty():
        return Measure(None, why="no_data"), np.empty(0)
    day = pl.Series("day", local_minutes(purchases["first_failure_at"]) // DAY)
    by_day = purchases.group_by(day).agg(pl.len(), lost=pl.col("recovered_at").is_null().sum()).sort("day")
    count, lost = by_day["len"].to_numpy().astype(float), by_day["lost"].to_numpy().astype(float)
    none = np.zeros((0, 1))
    return rate_of(Cells(count[:, None], lost[:, None], none, none, np.ones(1)), None, rng)


def _waits(waits: pl.DataFrame) -> Drawn:
    """Mean of the minutes' 95 % waits, in seconds, each weighing as many as came."""
    came = float(waits["attempts"].sum()) if len(waits) else 0.0
    if not came:
        return Measure(None, why="no_data"), np.empty(0)
    return Measure(float((waits["attempts"].cast(pl.Float64) * waits["wait_ms_p95"].cast(pl.Float64)).sum()) / came / 1000), np.empty(0)


def _times(incidents: pl.DataFrame, begin: str, end: str, rng: np.random.Generator) -> Drawn:
    took = [(until - since) / _MINUTE for since, until in incidents.select(begin, end).iter_rows() if until is not None]
    return median_of([max(one, 0.0) for one in took], rng)


def _to_notice(incidents: pl.DataFrame, notices: list[datetime], rng: np.random.Generator) -> Drawn:
    """Minutes from an incident's onset to the first notice within a day of it."""
    told = sorted(local_minute(moment) for moment in notices)
    onsets = [local_minute(moment) for moment in incidents["onset_at"]]
    took = [first - onset for onset in onsets if (first := next((moment for moment in told if onset <= moment < onset + DAY), None)) is not None]
    if onsets and not took:
        return Measure(None, why="no_notice"), np.empty(0)
    return median_of([float(one) for one in took], rng)


def _told(moment: datetime) -> str:
    """A time by the clock in Seoul, as people give it."""
    return f"{local(moment):%Y-%m-%d %H:%M}"


__all__ = ["MEASURES", "Comparison", "Span", "compare"]
