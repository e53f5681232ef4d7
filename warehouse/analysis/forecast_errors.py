"""How far off forecasts of the past were, and the quantiles that follow: the model's own idea of its spread is scaled by what happened."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from warehouse.analysis.demand_model import Filtered
from warehouse.analysis.panel import Array, Mask
from warehouse.analysis.special_days import SpecialDays

LEARN_DAYS = 14
"""Forecasts made sooner after the first day are no example."""

ORIGINS = 120
FARTHEST = 28
HORIZONS = (2, 7, 14, FARTHEST)
"""Horizons in days up to which errors are alike; beyond the last the model's spread goes on alone."""

ERROR_HALF_LIFE = 90.0
SLOT_WEIGHTS = (0.5, 1.0, 0.5)
FLOOR = 0.02
"""Logarithms are of values above so much of the mean: an hour at night without a sale is no disaster."""

FEWEST = 12.0
"""Errors that a quantile of four fifths needs; farther out, ten beyond it."""

BELIEVED = 4.0
"""Errors of forecasts that overlap are few, however many there are: the model's own spread counts as so many that do not."""


@dataclass(frozen=True)
class Errors:
    """Quantiles of standardised errors: ``of_days`` [horizon class, place, quantile], ``of_slots`` [horizon class, place, slot, quantile]; ``chance`` [place, slot] is what an hour strays beyond its day."""

    levels: tuple[float, ...]
    of_days: Array
    of_slots: Array
    chance: Array


def past_errors(model: Filtered, rhythm: Array, logs: Array, values: Array, seen: Mask, special: SpecialDays, levels: tuple[float, ...]) -> Errors:
    """Forecast from each of the last days of the history and hold it against what came; ``values`` [place, day, slot]."""
    places, days, slots = values.shape
    floor = FLOOR * values.mean(axis=(1, 2))[:, None]
    # a history too short for any leaves one without errors
    origins = list(range(max(LEARN_DAYS - 1, days - 1 - ORIGINS), days - 1)) or [days - 1]
    whole: Mask = np.asarray(seen.all(axis=1))
    far = min(FARTHEST, max(days - 1 - LEARN_DAYS, 1))
    shape = (len(origins), far, places)
    strays, off_days, off_slots = np.full(shape, np.nan), np.full(shape, np.nan), np.full((*shape, slots), np.nan)
    weights = np.zeros((len(origins), far))
    for number, origin in enumerate(origins):
        ahead = np.arange(origin + 1, min(origin + 1 + far, days))
        mean, spread = model.ahead(origin, special.design[ahead])
        n = len(ahead)
        weights[number, :n] = 0.5 ** ((days - ahead) / ERROR_HALF_LIFE)
        strays[number, :n] = spread.T
        off_days[number, :n] = np.where(whole[ahead], logs[:, ahead] - mean, np.nan).T
        expected = np.exp(mean.T)[:, :, None] * rhythm[origin, special.weekdays[ahead]]
        happened = np.log((values[:, ahead].transpose(1, 0, 2) + floor) / (expected + floor))
        off_slots[number, :n] = np.where(seen[ahead][:, None, :], happened, np.nan)
    chance = _beyond(off_slots, strays, places, slots)
    standard = off_slots / np.sqrt(strays[..., None] ** 2 + chance**2)
    classes = np.searchsorted(HORIZONS, np.arange(1, far + 1))
    of_days = np.empty((len(HORIZONS), places, len(levels)))
    of_slots = np.empty((len(HORIZONS), places, slots, len(levels)))
    for number in range(len(HORIZONS)):
        # a class of which nothing is known yet takes the one before
        known = min(number, int(classes.max()))
        inside, spans = classes == known, len(origins) / HORIZONS[known]
        weight = weights[:, inside]
        for place in range(places):
            of_days[number, place] = quantiles(off_days[:, inside, place] / strays[:, inside, place], weight, levels, spans)
            for slot in range(slots):
                errors = np.stack([standard[:, inside, place, (slot + shift) % slots] for shift in (-1, 0, 1)])
                of_slots[number, place, slot] = quantiles(errors, np.stack([weight * part for part in SLOT_WEIGHTS]), levels, spans)
    return Errors(levels, of_days, of_slots, chance)


def quantiles(values: Array, weights: Array, levels: tuple[float, ...], spans: float = 1e9) -> Array:
    """Weighted quantiles; where too few errors lie beyond one, those of a normal distribution scaled to the ones that are known.

    ``spans``: of how many forecasts that do not overlap the errors are; they lean on a standard normal distribution, which counts as ``BELIEVED`` of them.
    """
    known = ~np.isnan(values)
    value, weight = values[known], weights[known]
    size = float(weight.sum() ** 2 / (weight**2).sum()) if len(value) else 0.0
    prior = np.array([NormalDist().inv_cdf(level) for level in levels])
    if size < FEWEST:
        scale = max(1.0, float(np.sqrt((value**2).mean()))) if len(value) else 1.0
        return prior * scale
    order = np.argsort(value)
    position = (np.cumsum(weight[order]) - weight[order] / 2) / weight.sum()
    found: Array = np.interp(levels, position, value[order])
    middle = float(np.interp(0.5, position, value[order]))
    spread = {side: max(side * (float(np.interp(0.5 + side * 0.3, position, value[order])) - middle) / 0.842, 0.1) for side in (-1, 1)}
    for index, level in enumerate(levels):
        beyond = size * min(level, 1 - level)
        trust = min(beyond / 10, 1.0)
        side = 1 if level >= 0.5 else -1
        found[index] = trust * found[index] + (1 - trust) * (middle + prior[index] * spread[side])
    found = (spans * found + BELIEVED * prior) / (spans + BELIEVED)
    return np.maximum.accumulate(found)


def _beyond(off: Array, strays: Array, places: int, slots: int) -> Array:
    """What hours stray beyond their days, robustly: from the middle four fifths of the errors."""
    chance = np.full((places, slots), 0.1)
    for place in range(places):
        for slot in range(slots):
            errors = off[:, :, place, slot]
            known = ~np.isnan(errors)
            if known.sum() >= FEWEST:
                low, high = np.quantile(errors[known], (0.1, 0.9))
                extra = ((high - low) / 2.563) ** 2 - float(np.median(strays[:, :, place][known])) ** 2
                chance[place, slot] = np.sqrt(max(extra, 0.02**2))
    return chance
