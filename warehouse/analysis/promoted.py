"""What promotions and launches multiply, hour by hour, with how sure that is."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from warehouse.analysis.demand_model import Filtered
from warehouse.analysis.effects import covered, promoted_slots, promotions_of
from warehouse.analysis.errors import FrameError
from warehouse.analysis.panel import Array
from warehouse.analysis.special_days import SpecialDays
from warehouse.analysis.times import DAY, spans_of

UNSEEN = (2.5, 0.55)
"""A promotion of which nothing is known: its factor, and the standard deviation of its logarithm. From 1 to 6 within 90 %; an assumption."""


@dataclass(frozen=True)
class Promoted:
    """Known ``factors`` [day, hour], the standard deviations of their logarithms, and the share of each hour in a promotion of ``unknown`` factor."""

    factors: Array
    unsure: Array
    unknown: Array

    def ahead(self, fitted: Filtered, special: SpecialDays, values: Array, days: int) -> tuple[Array, Array]:
        """Factors [day, hour] of the days ahead and their uncertainty; unknown ones as those that went before in ``values`` [place, day, hour]."""
        past = values.shape[1]
        factors, unsure = self.factors[past : past + days].copy(), self.unsure[past : past + days].copy()
        unknown = self.unknown[past : past + days]
        if unknown.any():
            factor, spread = self._learnt(fitted, special, values)
            factors *= 1 + (factor - 1) * unknown
            unsure = np.hypot(unsure, spread * _followed(factor, unknown))
        return factors, unsure

    def _learnt(self, fitted: Filtered, special: SpecialDays, values: Array) -> tuple[float, float]:
        inside = np.flatnonzero((self.unknown[: values.shape[1]] > 0).all(axis=1) & (values.sum(axis=(0, 2)) > 0))
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
    unsure, unknown = np.zeros((2, last - first, 24))
    if promotions is None or not len(promotions):
        return Promoted(np.ones_like(unsure), unsure, unknown)
    hours = np.arange(first * DAY, last * DAY, 60)
    factors = promoted_slots(promotions_of(promotions).known, hours).reshape(unsure.shape)
    ranged = {"low", "high"} <= set(promotions.columns)
    for (low, high, _), row in zip(spans_of(promotions, "promotions"), promotions.iter_rows(named=True), strict=True):
        share = covered(low, high, hours).reshape(unsure.shape)
        if row.get("factor") is None:
            unknown = np.maximum(unknown, share)
            continue
        if ranged and row["low"] is not None and row["high"] is not None:
            if not 0 < row["low"] <= row["factor"] <= row["high"]:
                raise FrameError(f"promotions: expected 0 < low <= factor <= high, got {row['low']}, {row['factor']}, {row['high']}.")
            unsure = np.hypot(unsure, np.log(row["high"] / row["low"]) / 3.29 * _followed(row["factor"], share))
    return Promoted(factors, unsure, unknown)


def _followed(factor: float, share: Array) -> Array:
    """The elasticity of what an hour is multiplied by to the factor of a promotion that covers a share of it: all of it where it covers the whole."""
    return factor * share / (1 + (factor - 1) * share)
