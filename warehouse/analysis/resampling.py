"""Figures with what chance may have made of them: incidents are rare and of all lengths, the rest of a span is much the same from day to day.

So the two are drawn apart. What incidents cost in all is a sum of a Poisson number of them: mid-P gamma intervals (Fay and Kim 2017, "Confidence
intervals for directly standardized rates using mid-p gamma intervals", after Fay and Feuer 1997), which hold where drawing days anew (Efron 1979) does
not, as days without an incident never draw one. The rest is a share whose days stray: a beta distribution of the effective number of attempts
(Korn and Graubard 1998).
"""

from dataclasses import dataclass
from math import comb
from statistics import NormalDist

import numpy as np

from warehouse.analysis.intervals import student
from warehouse.analysis.panel import Array

DRAWS = 4_000
FEWEST_DAYS = 3
FEWEST_INCIDENTS = 5
"""From the least to the greatest of so many times the median lies with 94 %; of four with 88 %."""

AN_INCIDENT = 240
"""Minutes that one more incident may last, of which half the attempts fail, where fewer than ``FEWEST_INCIDENTS`` tell how long they are. An assumption."""

HALF_FAIL = 0.5


@dataclass(frozen=True)
class Measure:
    """A figure of one span with an interval of 90 % where it is one of chance; ``why`` (a code) where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""


Drawn = tuple[Measure, Array]


@dataclass(frozen=True)
class Cells:
    """What was tried and failed outside of incidents [day, cell] and in each of them [incident, cell], and the weights [cell] that a rate gives the cells."""

    tried: Array
    failed: Array
    tried_struck: Array
    failed_struck: Array
    weights: Array


def away_of(struck: Array, total: float, minutes: float, days: int, rng: np.random.Generator) -> Drawn:
    """The share of a ``total`` that was away, from what was in each incident; ``minutes`` is how long the span was open."""
    if not total:
        return Measure(None, why="no_data"), np.empty(0)
    value = float(struck.sum() / total)
    if days < FEWEST_DAYS:
        return Measure(value, why="few_days"), np.empty(0)
    draws = np.minimum(compound(struck / total, AN_INCIDENT / minutes, rng), 1)
    return _measured(value, draws), draws


def rate_of(cells: Cells, minutes: float | None, rng: np.random.Generator, nothing: str = "no_data") -> Drawn:
    """The rate of what failed, directly standardised to the weights; ``minutes``: how long the span was open (None: incidents are not told apart)."""
    tried = cells.tried.sum(axis=0) + cells.tried_struck.sum(axis=0)
    used = (cells.weights > 0) & (tried > 0)
    if not used.any():
        return Measure(None, why=nothing), np.empty(0)
    # what one failure in a cell adds to the rate
    adds = np.divide(cells.weights, tried * cells.weights[used].sum(), out=np.zeros_like(tried), where=used)
    struck = cells.failed_struck @ adds
    value = float(cells.failed.sum(axis=0) @ adds + struck.sum())
    if len(cells.tried) < FEWEST_DAYS:
        return Measure(value, why="few_days"), np.empty(0)
    draws = _steady(cells.tried[:, used], cells.failed[:, used], adds[used], rng)
    if minutes:
        draws = np.minimum(draws + compound(struck, HALF_FAIL * AN_INCIDENT / minutes, rng), 1)
    return _measured(value, draws), draws


def compound(struck: Array, one_more: float, rng: np.random.Generator) -> Array:
    """Draws of what incidents come to, given what each of those seen did; ``one_more`` is what another may do where few were seen."""
    seen, squares = float(struck.sum()), float((struck**2).sum())
    most = float(struck.max(initial=0.0))
    further = most if len(struck) >= FEWEST_INCIDENTS and most > 0 else max(most, one_more)
    low = rng.gamma(seen**2 / squares, squares / seen, DRAWS) if seen > 0 else np.zeros(DRAWS)
    above, spread = seen + further, squares + further**2
    return np.where(rng.random(DRAWS) < 0.5, low, rng.gamma(above**2 / spread, spread / above, DRAWS))


def _steady(tried: Array, failed: Array, adds: Array, rng: np.random.Generator) -> Array:
    """Draws of what fails outside of incidents, from days [day, cell] that stray about the rate of each cell."""
    weight, size = float(tried.sum(axis=0) @ adds), float(tried.sum())
    if not weight:
        return np.zeros(DRAWS)
    rate = float(failed.sum(axis=0) @ adds) / weight
    of_cell = np.divide(failed.sum(axis=0), tried.sum(axis=0), out=np.zeros_like(adds), where=tried.sum(axis=0) > 0)
    days = int((tried.sum(axis=1) > 0).sum())
    strays = (failed - tried * of_cell) @ adds / weight
    variance = float((strays**2).sum()) * days / max(days - 1, 1)
    enough = min(size, rate * (1 - rate) / variance) if variance > 0 else size
    # few days tell little of how much they stray
    enough *= (NormalDist().inv_cdf(0.95) / student(0.95, max(days - 1, 1))) ** 2
    return weight * rng.beta(rate * enough + 0.5, (1 - rate) * enough + 0.5, DRAWS)


def complement(drawn: Drawn) -> Drawn:
    """What is left to 1."""
    found, draws = drawn
    value, low, high = (None if end is None else 1 - end for end in (found.value, found.high, found.low))
    return Measure(value, low, high, found.why), 1 - draws


def median_of(values: list[float], rng: np.random.Generator) -> Drawn:
    """The median of times, one an incident, between the order statistics that hold it (Thompson 1936); drawn by how many of them lie below it."""
    if not values:
        return Measure(None, why="no_incidents"), np.empty(0)
    times, count = np.sort(values), len(values)
    if count < FEWEST_INCIDENTS:
        return Measure(float(np.median(times)), why="few_incidents"), np.empty(0)
    below = np.cumsum([comb(count, n) / 2**count for n in range(count)])
    rank = int((below <= 0.05).sum()) - 1
    ends = np.concatenate([times[:1], times, times[-1:]])
    under = rng.binomial(count, 0.5, DRAWS)
    draws = rng.uniform(ends[under], ends[under + 1])
    return Measure(float(np.median(times)), float(times[rank]), float(times[-1 - rank]), ""), draws


def _measured(value: float, draws: Array) -> Measure:
    low, high = np.quantile(draws, (0.05, 0.95))
    return Measure(value, min(float(low), value), max(float(high), value))
