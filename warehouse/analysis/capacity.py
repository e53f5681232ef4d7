"""How much a service takes: at what load of first attempts it tips over, from minutes under load or from a load test. docs/forecast.md has the method."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from warehouse.analysis.asked import level_of
from warehouse.analysis.errors import need_columns
from warehouse.analysis.panel import Array, Mask

FAILING, FEWEST = 0.05, 5
"""A minute fails that loses a twentieth of its attempts, and five at least."""

FRESH_MINUTES = 180
"""So long after failing, attempts are retries of those before, and a platform that tipped over stays so: such minutes tell nothing of first attempts."""

SMOOTHED = 5
LOOKED_BACK = 12
"""Minutes before the first failure in which the load that was still carried is looked for: older loads say less than the newest."""

CARRIED_MINUTES = 15
"""A load counts as carried when its mean over so many minutes was."""

NOT_BY_LOAD = 0.8
"""A service that fails at less than this share of what it has carried fails for another reason."""

PLACED = 0.025
"""How well a load at an onset can be told, which no number of onsets betters: failures begin some minutes after the load has passed what is carried."""

SPREADS = np.geomspace(0.015, 0.15, 12)
"""How far a threshold strays from time to time, as standard deviations of its logarithm."""


@dataclass(frozen=True)
class Capacity:
    """Requests a minute. ``knee`` with ``low`` and ``high`` (an interval of ``level``) is None where the service never tipped over; ``carried`` is what it has borne for a quarter of an hour.

    ``method`` is ``change_point``, ``usl``, ``load_test``, ``carried`` or ``none``; ``evidence`` counts onsets or steps of the test.
    """

    service: str
    knee: float | None
    low: float | None
    high: float | None
    carried: float | None
    method: str
    evidence: int
    level: float = 0.9

    @property
    def proven(self) -> float | None:
        """What may be relied on: the lower end of the knee, or what was carried; None: no proven capacity (검증된 용량 없음)."""
        return self.low if self.low is not None else self.carried


@dataclass(frozen=True)
class _Threshold:
    """A time at which it tipped over between two loads."""

    below: float
    above: float


def capacity_of(load: pl.DataFrame, service: str = "payment", *, level: float = 0.9) -> Capacity:
    """From minutes ``minute_at``, ``attempts``, ``failed``, and ``service`` where there are several; absent minutes are none.

    The load at which a service tips over is taken to be lognormal from time to time and known only between the load that was still carried and the one at which failures began (interval-censored;
    times without failures censored from the right), as a threshold in probit analysis (Finney, 1971). The interval is that of the median under a flat prior.

    Raises:
        FrameError: a column is missing.
        AnalysisError: the level cannot be used.
    """
    level = level_of(level)
    need_columns(load, "load", ("minute_at", "attempts", "failed"))
    mine = load.filter(pl.col("service") == service) if "service" in load.columns else load
    if mine.is_empty():
        return Capacity(service, None, None, None, None, "none", 0, level)
    attempts, failed, gap = _minutes(mine)
    thresholds, carried = _thresholds(attempts, failed, gap)
    most = max(carried, default=0.0)
    thresholds = [one for one in thresholds if one.above >= NOT_BY_LOAD * most]
    if not thresholds:
        return Capacity(service, None, None, None, most or None, "carried" if most else "none", 0, level)
    knee, low, high = _median(thresholds, carried, level)
    return Capacity(service, knee, low, high, most or None, "change_point", len(thresholds), level)


def _minutes(load: pl.DataFrame) -> tuple[Array, Array, Mask]:
    """Attempts and failed by minute without holes, and where nothing was reported."""
    sums = load.group_by("minute_at").agg(pl.col("attempts", "failed").sum()).sort("minute_at")
    minute = sums["minute_at"].dt.epoch("s").to_numpy() // 60
    at = minute - minute[0]
    attempts, failed, gap = np.zeros(at[-1] + 1), np.zeros(at[-1] + 1), np.ones(at[-1] + 1, dtype=bool)
    attempts[at], failed[at], gap[at] = sums["attempts"].to_numpy(), sums["failed"].to_numpy(), False
    return attempts, failed, gap


def _thresholds(attempts: Array, failed: Array, gap: Mask) -> tuple[list[_Threshold], list[float]]:
    """Onsets in a fresh state, and the greatest load carried in each stretch between them."""
    bad = (failed >= FEWEST) & (failed > FAILING * np.maximum(attempts, 1))
    onset = bad & (np.append(bad[1:], False) | np.append(bad[2:], [False, False]))
    smooth = _trailing(attempts, SMOOTHED)
    steady = _trailing(attempts, CARRIED_MINUTES)
    found: list[_Threshold] = []
    carried: list[float] = []
    start = 0
    last_bad = -FRESH_MINUTES
    for minute in [*np.flatnonzero(onset), len(attempts)]:
        fresh_from = max(start, last_bad + FRESH_MINUTES)
        if minute > fresh_from + CARRIED_MINUTES:
            # whole minutes before the failures, of a day without holes
            stretch = steady[fresh_from + CARRIED_MINUTES : max(minute - 2, fresh_from + CARRIED_MINUTES)]
            # Holes just before failures hide how they began; just before the newest minute they hide nothing.
            if len(stretch) and (minute == len(attempts) or not gap[max(minute - LOOKED_BACK, 0) : minute].any()):
                carried.append(float(stretch.max()))
                if minute < len(attempts):
                    # the means of five minutes: the one that ended some minutes before, and the last before the failing minute, which holds retries
                    before, last = float(smooth[max(minute - LOOKED_BACK, fresh_from) : minute - SMOOTHED].mean()), float(smooth[minute - 1])
                    found.append(_Threshold(min(before, last), max(before, last)))
        last_bad, start = minute, minute + 1
    return found, carried


def _trailing(values: Array, width: int) -> Array:
    sums = np.cumsum(np.concatenate([[0.0], values]))
    found: Array = np.concatenate([np.full(width - 1, 0.0), (sums[width:] - sums[:-width]) / width])
    return found


def _median(thresholds: list[_Threshold], carried: list[float], level: float) -> tuple[float, float, float]:
    """The median threshold and its interval, on a grid of it and of the spread."""
    below, above = (np.log([getattr(one, name) for one in thresholds]) for name in ("below", "above"))
    borne = np.log(np.array([one for one in carried if one > 0]))
    grid = np.linspace(min(below.min(), above.min()) - 0.3, above.max() + 0.3, 600)
    total = np.full((len(SPREADS), len(grid)), 0.0)
    for index, spread in enumerate(SPREADS):
        inside = normal_distribution((above[:, None] - grid) / spread) - normal_distribution((below[:, None] - grid) / spread)
        outlived = 1 - normal_distribution((borne[:, None] - grid) / spread)
        total[index] = np.log(np.maximum(inside, 1e-12)).sum(axis=0) + np.log(np.maximum(outlived, 1e-12)).sum(axis=0)
    weight = np.exp(total - total.max()).sum(axis=0)
    step = grid[1] - grid[0]
    reach = np.arange(-round(4 * PLACED / step), round(4 * PLACED / step) + 1) * step
    weight = np.convolve(weight, np.exp(-((reach / PLACED) ** 2) / 2), "same")
    share = np.cumsum(weight) / weight.sum()
    low, middle, high = np.interp([(1 - level) / 2, 0.5, (1 + level) / 2], share, grid)
    return float(np.exp(middle)), float(np.exp(low)), float(np.exp(high))


def normal_distribution(z: Array) -> Array:
    """The normal distribution function, by Abramowitz and Stegun (1964), 26.2.17."""
    t = 1 / (1 + 0.2316419 * np.abs(z))
    tail = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    found: Array = np.where(z >= 0, 1 - tail, tail)
    return found
