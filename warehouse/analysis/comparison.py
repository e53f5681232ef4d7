"""Two spans of time side by side, such as two operators': how well the platform worked in each, like for like, with intervals and with what cannot be compared."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from warehouse.analysis.availability import availability
from warehouse.analysis.calendar import types_of
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.panel import Array, Codes, Mask
from warehouse.analysis.times import DAY, date_of, minute_of, minutes_of

RESAMPLED = 1_000
LOADS = 3
"""Classes of load, by thirds of both spans' minutes."""

FEWEST_DAYS = 3
FEWEST_INCIDENTS = 3
_MINUTE = timedelta(minutes=1)

MEASURES = {
    "days": "count", "planned_minutes": "count", "incident_minutes": "count", "incidents": "count", "availability_total": "share", "availability_unplanned": "share", "availability_demand": "share",
    "failure_rate": "share", "failure_rate_alike": "share", "never_succeeded": "share", "wait_p95": "seconds", "detect_minutes": "minutes", "notice_minutes": "minutes", "recover_minutes": "minutes",
    "loss_per_million": "won", "planned_cost": "won",
}  # fmt: skip
"""Every measure and its unit; shares are of 1."""


@dataclass(frozen=True)
class Span:
    """What is known of a span [``start``, ``end``), aware times; frames' times are UTC, naive or aware.

    ``minutes``: ``minute_at``, ``attempts``, ``failed``, ``sales``. ``incidents`` and ``maintenance`` as in ``availability``, with ``detected_at``. ``purchases``: ``first_failure_at``, ``recovered_at``.
    ``waits``: ``minute_at``, ``attempts``, ``wait_ms_p95``. ``notices``: times at which customers were told. ``lost``: what its incidents cost (None: not estimated), ``planned_cost`` what announced switch-offs cost.
    """

    name: str
    start: datetime
    end: datetime
    minutes: pl.DataFrame
    incidents: pl.DataFrame
    maintenance: pl.DataFrame
    purchases: pl.DataFrame
    waits: pl.DataFrame
    notices: list[datetime]
    lost: float | None = None
    planned_cost: float | None = None


@dataclass(frozen=True)
class Measure:
    """A figure of one span with an interval of 90 % where days or incidents were resampled; ``why`` (a code) where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """``table`` has a row a measure; ``covered`` is the share of each span's attempts at kinds of day and loads that both have.

    Columns: ``measure``, ``unit``; of each span ``first``, ``first_low``, ``first_high``, ``second``, …; ``difference`` (second less first) with ``low`` and ``high``; ``why`` it cannot be compared (empty: it can).
    """

    table: pl.DataFrame
    covered: tuple[float, float]


def compare(first: Span, second: Span, *, calendar: pl.DataFrame | None = None, seed: int = 0) -> Comparison:
    """Every measure of both spans. Intervals are percentiles of a bootstrap over days (Efron 1979) with a fixed seed, of times over incidents.

    ``failure_rate_alike`` is directly standardised: the failure rates at each kind of day and load, weighted alike for both, where both have been.

    Raises:
        AnalysisError: a span ends before it starts, or they overlap.
        FrameError: a column is missing.
    """
    for span in (first, second):
        if span.end <= span.start:
            raise AnalysisError(f"{span.name}: expected an end after the start {span.start}, got {span.end}.")
        need_columns(span.minutes, f"{span.name}: minutes", ("minute_at", "attempts", "failed", "sales"))
    if max(first.start, second.start) < min(first.end, second.end):
        raise AnalysisError(f"Spans: expected two that do not overlap, got {first.name} to {first.end} and {second.name} from {second.start}.")
    rng = np.random.default_rng(seed)
    cells, covered = _alike(first, second, calendar)
    usual = _usual([_laid_out(span) for span in (first, second)])
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
                two.value - one.value if both and one.value is not None and two.value is not None else None,
                *ends,
                why,
            ]
        )
    figures = ["first", "first_low", "first_high", "second", "second_low", "second_high", "difference", "low", "high"]
    schema = {"measure": pl.String, "unit": pl.String, **dict.fromkeys(figures, pl.Float64), "why": pl.String}
    return Comparison(pl.DataFrame(rows, schema=schema, orient="row"), covered)


Drawn = tuple[Measure, Array]


def _measures(span: Span, cells: tuple[Array, Array, Array], usual: Array, rng: np.random.Generator) -> dict[str, Drawn]:
    """Each measure with its draws."""
    known = availability(span.incidents, span.maintenance, span.start, span.end)
    days = _days(_laid_out(span), usual)
    nothing: Drawn = (Measure(None, why="no_data"), np.empty(0))
    picks = (
        rng.multinomial(len(days.attempts), np.full(len(days.attempts), 1 / max(len(days.attempts), 1)), RESAMPLED)
        if len(days.attempts) >= FEWEST_DAYS
        else None
    )

    def ratio(top: Array, bottom: Array) -> Drawn:
        return _ratio(top, bottom, picks)

    away = ratio(days.demand_away, days.demand)
    total = float(span.minutes["sales"].sum())
    return {
        "days": (Measure(known.minutes / DAY), np.empty(0)),
        "planned_minutes": (Measure(float(known.planned_minutes)), np.empty(0)),
        "incident_minutes": (Measure(float(known.incident_minutes)), np.empty(0)),
        "incidents": (Measure(float(len(span.incidents))), np.empty(0)),
        "availability_total": (Measure(known.total), np.empty(0)),
        "availability_unplanned": ratio(days.up, days.open),
        "availability_demand": _complement(away),
        "failure_rate": ratio(days.failed, days.attempts),
        "failure_rate_alike": _standardised(cells, picks) if len(days.attempts) else nothing,
        "never_succeeded": _share(span.purchases, rng),
        "wait_p95": _waits(span.waits),
        "detect_minutes": _times(span.incidents, "onset_at", "detected_at", rng),
        "notice_minutes": _to_notice(span, rng),
        "recover_minutes": _times(span.incidents, "onset_at", "ended_at", rng),
        "loss_per_million": (
            Measure(None, why="not_estimated")
            if span.lost is None
            else Measure(span.lost / (total + max(span.lost, 0.0)) * 1e6 if total + span.lost > 0 else None),
            np.empty(0),
        ),
        "planned_cost": (Measure(span.planned_cost, why="" if span.planned_cost is not None else "not_estimated"), np.empty(0)),
    }


@dataclass(frozen=True)
class _Days:
    """Of each day of a span with attempts, by its number since 1970: counts; ``demand`` as its kind of hour usually wants, and of it what fell into incidents."""

    number: Codes
    attempts: Array
    failed: Array
    open: Array
    up: Array
    demand: Array
    demand_away: Array


@dataclass(frozen=True)
class _Minutes:
    """A span's minutes by the local clock from the midnight of day ``low`` on [day, minute]: counts, and whether it was up, or in an incident outside of maintenance."""

    low: int
    attempts: Array
    failed: Array
    up: Mask
    gone: Mask


def _laid_out(span: Span) -> _Minutes:
    first, last = _local(span.start), _local(span.end)
    minute = _utc_minutes(span.minutes)
    inside = (minute >= first) & (minute < last)
    low, high = first // DAY, -(-last // DAY)
    size = (high - low) * DAY
    attempts, failed = (
        np.bincount(minute[inside] - low * DAY, span.minutes[name].to_numpy()[inside].astype(float), size).reshape(-1, DAY).astype(np.float64)
        for name in ("attempts", "failed")
    )
    away, planned, of_span = np.zeros((3, size), dtype=bool)

    def mark(where: Mask, start: datetime, end: datetime | None) -> None:
        where[_clip(_local_utc(start) - low * DAY, size) : _clip(_local_utc(end) - low * DAY if end else size, size)] = True

    for row in span.incidents.filter(pl.col("scope") == "nation").iter_rows(named=True):
        mark(away, row["onset_at"], row["ended_at"])
    for row in span.maintenance.iter_rows(named=True):
        if row["announced_at"] < row["starts_at"]:
            mark(planned, row["starts_at"], row["ends_at"])
    of_span[first - low * DAY : last - low * DAY] = True
    return _Minutes(low, attempts, failed, (of_span & ~away & ~planned).reshape(-1, DAY), (of_span & away & ~planned).reshape(-1, DAY))


def _usual(spans: list[_Minutes]) -> Array:
    """What a minute of each hour of the day wants, from the minutes of both spans that were up; where none was, from all."""
    sums, counts, every, minutes = np.zeros(24), np.zeros(24), np.zeros(24), np.zeros(24)
    for span in spans:
        sums += (span.attempts * span.up).reshape(-1, 24, 60).sum(axis=(0, 2))
        counts += span.up.reshape(-1, 24, 60).sum(axis=(0, 2))
        every += span.attempts.reshape(-1, 24, 60).sum(axis=(0, 2))
        minutes += (span.up | span.gone).reshape(-1, 24, 60).sum(axis=(0, 2))
    otherwise = np.divide(every, minutes, out=np.zeros(24), where=minutes > 0)
    found: Array = np.divide(sums, counts, out=otherwise, where=counts > 0)
    return found


def _days(minutes: _Minutes, usual: Array) -> _Days:
    known = minutes.attempts.sum(axis=1) > 0
    opened = minutes.up | minutes.gone
    demand, away = (mask.reshape(-1, 24, 60).sum(axis=2) @ usual for mask in (opened, minutes.gone))
    number = minutes.low + np.flatnonzero(known)
    counts = (minutes.attempts.sum(axis=1), minutes.failed.sum(axis=1), opened.sum(axis=1).astype(float), minutes.up.sum(axis=1).astype(float), demand, away)
    return _Days(number, *(count[known] for count in counts))


def _alike(first: Span, second: Span, calendar: pl.DataFrame | None) -> tuple[list[tuple[Array, Array, Array]], tuple[float, float]]:
    """Of each span attempts and failed [day, cell] at kinds of day and loads, the common weights [cell], and the shares of attempts where both have been."""
    known = []
    for span in (first, second):
        minute = _utc_minutes(span.minutes)
        attempts, failed = (span.minutes[name].to_numpy().astype(float) for name in ("attempts", "failed"))
        known.append((minute, attempts, failed))
    loads = np.concatenate([attempts for _, attempts, _ in known])
    cuts = np.quantile(loads, np.arange(1, LOADS) / LOADS) if len(loads) else np.zeros(LOADS - 1)
    sums = []
    for minute, attempts, failed in known:
        days, day = np.unique(minute // DAY, return_inverse=True)
        kinds = (
            np.array([{"workday": 0, "saturday": 1}.get(kind, 2) for kind in types_of([date_of(int(n)) for n in days], calendar)], dtype=np.int64)
            if len(days)
            else np.zeros(0, dtype=np.int64)
        )
        cell = (kinds[day] if len(day) else day) * LOADS + np.searchsorted(cuts, attempts)
        at = day * 3 * LOADS + cell
        sums.append(tuple(np.bincount(at, value, len(days) * 3 * LOADS).astype(np.float64).reshape(len(days), 3 * LOADS) for value in (attempts, failed)))
    totals = [of[0].sum(axis=0) for of in sums]
    both = (totals[0] > 0) & (totals[1] > 0)
    weights = np.where(both, totals[0] / max(totals[0].sum(), 1) + totals[1] / max(totals[1].sum(), 1), 0.0)
    covered = tuple(float(total[both].sum() / total.sum()) if total.sum() else 0.0 for total in totals)
    return [(of[0], of[1], weights) for of in sums], (covered[0], covered[1])


def _standardised(cells: tuple[Array, Array, Array], picks: Codes | None) -> Drawn:
    attempts, failed, weights = cells
    if not weights.sum():
        return Measure(None, why="nothing_alike"), np.empty(0)

    def rate(tried: Array, lost: Array) -> Array:
        found: Array = np.divide(lost, tried, out=np.zeros_like(tried), where=tried > 0) @ weights / weights.sum()
        return found

    value = float(rate(attempts.sum(axis=0), failed.sum(axis=0)))
    if picks is None or picks.shape[1] != len(attempts):
        return Measure(value, why="few_days"), np.empty(0)
    draws = rate(picks @ attempts, picks @ failed)
    return Measure(value, *_ends(draws)), draws


def _ratio(top: Array, bottom: Array, picks: Codes | None) -> Drawn:
    if not bottom.sum():
        return Measure(None, why="no_data"), np.empty(0)
    value = float(top.sum() / bottom.sum())
    if picks is None:
        return Measure(value, why="few_days"), np.empty(0)
    below = picks @ bottom
    draws = np.divide(picks @ top, below, out=np.full(len(picks), value), where=below > 0)
    return Measure(value, *_ends(draws)), draws


def _complement(drawn: Drawn) -> Drawn:
    found, draws = drawn
    value, low, high = (None if end is None else 1 - end for end in (found.value, found.high, found.low))
    return Measure(value, low, high, found.why), 1 - draws


def _share(purchases: pl.DataFrame, rng: np.random.Generator) -> Drawn:
    """Of purchases that failed at least once, those that never succeeded; days are resampled."""
    if purchases.is_empty():
        return Measure(None, why="no_data"), np.empty(0)
    by_day = purchases.group_by(pl.col("first_failure_at").dt.date()).agg(pl.len(), lost=pl.col("recovered_at").is_null().sum()).sort("first_failure_at")
    count, lost = by_day["len"].to_numpy().astype(float), by_day["lost"].to_numpy().astype(float)
    return _ratio(lost, count, rng.multinomial(len(count), np.full(len(count), 1 / len(count)), RESAMPLED) if len(count) >= FEWEST_DAYS else None)


def _waits(waits: pl.DataFrame) -> Drawn:
    """Mean of the minutes' 95 % waits, in seconds, each weighing as many as came."""
    came = float(waits["attempts"].sum()) if len(waits) else 0.0
    if not came:
        return Measure(None, why="no_data"), np.empty(0)
    return Measure(float((waits["attempts"].cast(pl.Float64) * waits["wait_ms_p95"].cast(pl.Float64)).sum()) / came / 1000), np.empty(0)


def _times(incidents: pl.DataFrame, begin: str, end: str, rng: np.random.Generator) -> Drawn:
    took = [(until - since) / _MINUTE for since, until in incidents.select(begin, end).iter_rows() if until is not None]
    return _median([max(one, 0.0) for one in took], rng)


def _to_notice(span: Span, rng: np.random.Generator) -> Drawn:
    """Minutes from an incident's onset to the first notice within a day of it."""
    told = sorted(_local_utc(moment) for moment in span.notices)
    onsets = [_local_utc(moment) for moment in span.incidents["onset_at"]]
    took = [first - onset for onset in onsets if (first := next((moment for moment in told if onset <= moment < onset + DAY), None)) is not None]
    if onsets and not took:
        return Measure(None, why="no_notice"), np.empty(0)
    return _median([float(one) for one in took], rng)


def _median(values: list[float], rng: np.random.Generator) -> Drawn:
    if not values:
        return Measure(None, why="no_incidents"), np.empty(0)
    if len(values) < FEWEST_INCIDENTS:
        return Measure(float(np.median(values)), why="few_incidents"), np.empty(0)
    draws = np.median(rng.choice(values, (RESAMPLED, len(values))), axis=1)
    return Measure(float(np.median(values)), *_ends(draws)), draws


def _ends(draws: Array) -> tuple[float, float]:
    low, high = np.quantile(draws, (0.05, 0.95))
    return float(low), float(high)


def _local(moment: datetime) -> int:
    return minute_of(moment, "span")


def _local_utc(moment: datetime) -> int:
    """The local minute of a moment that is aware, or naive in UTC."""
    return minute_of(moment, "time") + (0 if moment.tzinfo else 540)


def _utc_minutes(frame: pl.DataFrame) -> np.ndarray:
    aware = getattr(frame["minute_at"].dtype, "time_zone", None)
    return minutes_of(frame["minute_at"], "minutes: minute_at") + (0 if aware else 540)


def _clip(minute: int, size: int) -> int:
    return min(max(minute, 0), size)
