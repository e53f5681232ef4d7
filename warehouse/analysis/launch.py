"""A launch that meets demand nobody has measured: the loss as a function of a demand factor that the analyst moves, and never one figure.

What an ordinary day sells in the window's hours is a regression of log daily sales on the kind of day and on promotions, so that a history that is
mostly promotion still tells Saturdays from workdays, and the few ordinary days carry the level. Prediction intervals: Student's t with the leverage
of the day asked about (e.g. Montgomery, Peck, Vining 2012, chapter 3), the residual variance blended with the prior of ``intervals``.
"""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import exp, isfinite, log

import numpy as np
import polars as pl

from warehouse.analysis.asked import level_of, moments_of
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.intervals import student
from warehouse.analysis.ordinary import OrdinaryDays, Part, Prediction
from warehouse.analysis.panel import need_rows, rows_of
from warehouse.analysis.remarks import Remark
from warehouse.analysis.times import DAY, minute_of

FACTORS = (0.5, 4.0)
"""Where nothing is known of demand: from half an ordinary day to four of them."""

FEW_DAYS = 10
STEPS, GRID, FACTOR_GRID = 29, 2001, 201


@dataclass(frozen=True)
class LaunchScenario:
    """The loss of a launch's window, in the unit of the sales, for demand factors from ``factor_low`` to ``factor_high``.

    ``ordinary`` is what an ordinary day of the same kind sells in the window, ``observed`` what was sold. ``factors``: ``factor``, ``expected``,
    ``lost``, ``low``, ``high``, the interval being the one at that factor, which ``at`` gives for any. ``low`` and ``high`` hold the loss while the
    factor is unknown, by the hours before the window too: they sold ``morning`` (value, low, high) times an ordinary day's; None: there are none.
    """

    ordinary: float
    observed: float
    factors: pl.DataFrame
    low: float
    high: float
    factor_low: float
    factor_high: float
    morning: tuple[float, float, float] | None
    method: Remark
    warnings: list[Remark]
    level: float
    spread: float

    def at(self, factor: float) -> tuple[float, float, float]:
        """The loss if demand was ``factor`` times an ordinary day's, with its interval.

        Raises:
            AnalysisError: the factor is not above 0.
        """
        if not (isfinite(factor) and factor > 0):
            raise AnalysisError(f"factor: expected a number above 0, got {factor}. For twice an ordinary day give 2.")
        expected = factor * self.ordinary
        return expected - self.observed, expected * exp(-self.spread) - self.observed, expected * exp(self.spread) - self.observed


def launch_scenario(  # noqa: PLR0913 - everything that may be known about the sales, each by its name
    sales: pl.DataFrame,
    start: datetime,
    end: datetime,
    *,
    opened: datetime | None = None,
    factor_low: float = FACTORS[0],
    factor_high: float = FACTORS[1],
    calendar: pl.DataFrame | None = None,
    promotions: pl.DataFrame | None = None,
    exclusions: pl.DataFrame | None = None,
    level: float = 0.9,
) -> LaunchScenario:
    """The loss from ``start`` to ``end`` on a launch, as a function of demand over that of an ordinary day.

    ``sales``, ``calendar``, ``exclusions`` and times are those of ``estimate_loss``; the history is all days before the one of ``opened`` (default:
    midnight before ``start``). ``promotions``: ``start``, ``end``, ``label``; what each carries is learnt from its days, or is its ``factor`` where given.

    Raises:
        FrameError: a frame lacks a column or holds what it may not.
        HistoryError: no ordinary day has sales in the window's hours.
        AnalysisError: the window, the factors or the level cannot be used.
    """
    level = level_of(level)
    if not (isfinite(factor_high) and 0 < factor_low <= factor_high):
        raise AnalysisError(f"factor_low, factor_high: expected 0 < low <= high, got {factor_low} and {factor_high}. For half to twice give 0.5 and 2.")
    need_columns(sales, "sales", ("at", "sales"))
    rows = rows_of(sales, "sales")
    need_rows(rows, "sales")
    first, last, *_ = moments_of(start, end, None, None, rows.step)
    if last <= first:
        raise AnalysisError(f"end: expected a time after the start {start}, got {end}.")
    opens = first // DAY * DAY if opened is None else minute_of(opened, "opened")
    if opens > first:
        raise AnalysisError(f"opened: expected a time before the start {start}, got {opened}.")
    warnings = [Remark("launch_no_single_number", {"factor_low": factor_low, "factor_high": factor_high})]
    history = OrdinaryDays.of(rows, opens, calendar, promotions, exclusions)
    if history.count < FEW_DAYS:
        warnings.append(Remark("launch_few_days", {"days": history.count}))
    parts = _parts(first, last)
    window = history.predict(parts)
    if not window.kind_seen:
        warnings.append(Remark("launch_kind_unseen"))
    tail = (1 + level) / 2
    spread = student(tail, window.freedom) * window.scale
    observed = float(rows.sales[(rows.minute >= first) & (rows.minute < last)].sum())
    # on a day with many hours behind it, only its own hours speak of it
    since = max(opens, first // DAY * DAY)
    sold_before = float(rows.sales[(rows.minute >= since) & (rows.minute < first)].sum())
    morning = from_morning = None
    if sold_before > 0:
        before = _parts(since, first)[0]
        usual, ratio = history.predict([before]), history.predict(parts[:1], before)
        shown, half = sold_before / exp(usual.centre), student(tail, usual.freedom) * usual.scale
        morning = (shown, shown * exp(-half), shown * exp(half))
        followed = log(sold_before) + ratio.centre - history.predict(parts[:1]).centre
        from_morning = Prediction(window.centre + followed, ratio.scale, ratio.freedom)
        warnings.append(Remark("launch_morning", {"level": shown}))
    low, high = _quantiles(window, log(factor_low), log(factor_high), from_morning, level)
    ordinary = exp(window.centre)
    factors = np.geomspace(factor_low, factor_high, STEPS if factor_high > factor_low else 1)
    expected = factors * ordinary
    table = {"factor": factors, "expected": expected, "lost": expected - observed, "low": expected * exp(-spread) - observed}
    return LaunchScenario(
        ordinary=ordinary,
        observed=observed,
        factors=pl.DataFrame({**table, "high": expected * exp(spread) - observed}),
        low=exp(low) - observed,
        high=exp(high) - observed,
        factor_low=factor_low,
        factor_high=factor_high,
        morning=morning,
        method=Remark("launch", {"days": history.with_sales}),
        warnings=warnings,
        level=level,
        spread=spread,
    )


def _parts(first: int, last: int) -> list[Part]:
    """A span cut at midnights."""
    cuts = [first, *range((first // DAY + 1) * DAY, last, DAY), last]
    return [(low // DAY, low % DAY, high - low // DAY * DAY) for low, high in pairwise(cuts)]


def _quantiles(window: Prediction, low: float, high: float, from_morning: Prediction | None, level: float) -> tuple[float, float]:
    """The ends of the interval of log expected sales, every factor from ``low`` to ``high`` (logarithms) being as likely, times what the morning says."""
    reach = 12 * max(window.scale, 0.0 if from_morning is None else from_morning.scale)
    grid = np.linspace(window.centre + low - reach, window.centre + high + reach, GRID)
    likely = window.density(grid[:, None] - np.linspace(low, high, FACTOR_GRID)).mean(axis=1)
    if from_morning is not None:
        likely *= from_morning.density(grid)
    mass = np.cumsum(likely) / likely.sum()
    return float(np.interp((1 - level) / 2, mass, grid)), float(np.interp((1 + level) / 2, mass, grid))
