"""Figures with what came of drawing their days or incidents anew. Efron (1979), "Bootstrap methods: another look at the jackknife"."""

from dataclasses import dataclass

import numpy as np

from warehouse.analysis.panel import Array, Codes

RESAMPLED = 1_000
FEWEST_DAYS = 3
FEWEST_INCIDENTS = 3


@dataclass(frozen=True)
class Measure:
    """A figure of one span with an interval of 90 % where days or incidents were resampled; ``why`` (a code) where there is none."""

    value: float | None
    low: float | None = None
    high: float | None = None
    why: str = ""


Drawn = tuple[Measure, Array]


def picks_of(days: int, rng: np.random.Generator) -> Codes | None:
    """How often each of the days is drawn [draw, day]; None where there are too few."""
    return rng.multinomial(days, np.full(days, 1 / days), RESAMPLED) if days >= FEWEST_DAYS else None


def ratio_of(top: Array, bottom: Array, picks: Codes | None) -> Drawn:
    """The sum of ``top`` over that of ``bottom`` [day]."""
    if not bottom.sum():
        return Measure(None, why="no_data"), np.empty(0)
    value = float(top.sum() / bottom.sum())
    if picks is None:
        return Measure(value, why="few_days"), np.empty(0)
    below = picks @ bottom
    draws = np.divide(picks @ top, below, out=np.full(len(picks), value), where=below > 0)
    return Measure(value, *_ends(draws)), draws


def complement(drawn: Drawn) -> Drawn:
    """What is left to 1."""
    found, draws = drawn
    value, low, high = (None if end is None else 1 - end for end in (found.value, found.high, found.low))
    return Measure(value, low, high, found.why), 1 - draws


def median_of(values: list[float], rng: np.random.Generator) -> Drawn:
    """The median of times, one an incident."""
    if not values:
        return Measure(None, why="no_incidents"), np.empty(0)
    if len(values) < FEWEST_INCIDENTS:
        return Measure(float(np.median(values)), why="few_incidents"), np.empty(0)
    draws = np.median(rng.choice(values, (RESAMPLED, len(values))), axis=1)
    return Measure(float(np.median(values)), *_ends(draws)), draws


def _ends(draws: Array) -> tuple[float, float]:
    low, high = np.quantile(draws, (0.05, 0.95))
    return float(low), float(high)


def standardised(cells: tuple[Array, Array, Array], picks: Codes | None) -> Drawn:
    """A rate of attempts and failed [day, cell] at common weights [cell]: direct standardisation.

    A cell that a draw left without an attempt has no rate there; the others carry its weight, or every such draw would pull the rate towards nothing.
    """
    attempts, failed, weights = cells
    if not weights.sum():
        return Measure(None, why="nothing_alike"), np.empty(0)

    def rate(tried: Array, lost: Array) -> Array:
        found: Array = np.divide(lost, tried, out=np.zeros_like(tried), where=tried > 0) @ weights
        weight = (tried > 0) @ weights
        return np.divide(found, weight, out=np.full_like(found, np.nan), where=weight > 0)

    value = float(rate(attempts.sum(axis=0), failed.sum(axis=0)))
    if picks is None:
        return Measure(value, why="few_days"), np.empty(0)
    draws = rate(picks @ attempts, picks @ failed)
    draws = np.where(np.isnan(draws), value, draws)
    return Measure(value, *_ends(draws)), draws
