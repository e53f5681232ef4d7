"""What promotions and launches multiply, hour by hour, with how sure that is."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from warehouse.analysis.demand_model import Filtered
from warehouse.analysis.effects import promotions_of
from warehouse.analysis.errors import FrameError
from warehouse.analysis.panel import Array, Mask
from warehouse.analysis.special_days import SpecialDays
from warehouse.analysis.times import DAY, spans_of

UNSEEN = (2.5, 0.55)
"""A promotion of which nothing is known: its factor, and the standard deviation of its logarithm. From 1 to 6 within 90 %; an assumption."""


@dataclass(frozen=True)
class Promoted:
    """Known ``factors`` [day, hour], the standard deviations of their logarithms, and which hours have a promotion of ``unknown`` factor."""

    factors: Array
    unsure: Array
    unknown: Mask

    def ahead(self, fitted: Filtered, special: SpecialDays, values: Array, days: int) -> tuple[Array, Array]:
        """Factors [day, hour] of the days ahead and their uncertainty; unknown ones as those that went before in ``values`` [place, day, hour]."""
        past = values.shape[1]
        factors, unsure = self.factors[past : past + days].copy(), self.unsure[past : past + days].copy()
        unknown = self.unknown[past : past + days]
        if unknown.any():
            factor, spread = self._learnt(fitted, special, values)
            factors[unknown] *= factor
            unsure[unknown] = np.hypot(unsure[unknown], spread)
        return factors, unsure

    def _learnt(self, fitted: Filtered, special: SpecialDays, values: Array) -> tuple[float, float]:
        inside = np.flatnonzero(self.unknown[: values.shape[1]].all(axis=1) & (values.sum(axis=(0, 2)) > 0))
        if not len(inside):
            return UNSEEN
        ratios = []
        for day in inside:
            origin = max(int(day) - 1, 0)
            mean, _ = fitted.ahead(origin, special.design[day : day + 1])
            ratios.append(float(np.log(values[:, day].sum() / np.exp(mean).sum())))
        return float(np.exp(np.median(ratios))), max(float(np.std(ratios)), 0.2)


def promoted(promotions: pl.DataFrame | None, first: int, last: int) -> Promoted:
    """For the days [first, last) since 1970. ``low`` and ``high`` beside ``factor`` are its range of 90 %.

    Raises:
        FrameError: factors or their range cannot be used.
    """
    factors, unsure = np.ones((last - first, 24)), np.zeros((last - first, 24))
    unknown = np.zeros((last - first, 24), dtype=bool)
    if promotions is None or not len(promotions):
        return Promoted(factors, unsure, unknown)
    promotions_of(promotions)
    hours = (first + np.arange(last - first))[:, None] * DAY + np.arange(24) * 60
    ranged = {"low", "high"} <= set(promotions.columns)
    for (low, high, _), row in zip(spans_of(promotions, "promotions"), promotions.iter_rows(named=True), strict=True):
        inside = (hours < high) & (hours + 60 > low)
        if row.get("factor") is None:
            unknown |= inside
            continue
        factors = np.where(inside, factors * row["factor"], factors)
        if ranged and row["low"] is not None and row["high"] is not None:
            if not 0 < row["low"] <= row["factor"] <= row["high"]:
                raise FrameError(f"promotions: expected 0 < low <= factor <= high, got {row['low']}, {row['factor']}, {row['high']}.")
            unsure = np.where(inside, np.hypot(unsure, np.log(row["high"] / row["low"]) / 3.29), unsure)
    return Promoted(factors, unsure, unknown)
