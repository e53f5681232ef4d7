"""Noise that lasts: from day to day, over hours, and as rain."""

from datetime import date
from functools import lru_cache

import numpy as np

from streams.simulator.chance import draws
from streams.simulator.scenario import Scenario

_RAIN, _RAIN_FACTOR = 0.12, 0.8


def wandering(scenario: Scenario, use: str, day: date, size: int, memory: float, days: int) -> np.ndarray:
    """A first-order autoregression of unit variance from day to day, made from the innovations of the last ``days``: any day can be asked for alone."""
    weights = memory ** np.arange(days)
    weights /= np.sqrt((weights**2).sum())
    past = [_innovation(scenario.seed, use, day.toordinal() - back, size, scenario.world.tails) for back in range(days)]
    return np.asarray(weights @ np.stack(past))


@lru_cache(maxsize=512)
def _innovation(seed: int, use: str, ordinal: int, size: int, tails: float) -> np.ndarray:
    rng = draws(seed, use, ordinal)
    if not tails:
        return rng.normal(0, 1, size)
    # Cut, so that no day is a hundred times another; of unit variance where that exists.
    return np.asarray(np.clip(rng.standard_t(tails, size) * np.sqrt(max(tails - 2, 0.5) / tails), -5, 5))


def rain(rng: np.random.Generator, minute: np.ndarray, wanted: bool) -> np.ndarray:  # noqa: FBT001  # no noise, no weather
    """A few hours in which a region's people stay at home, on some days."""
    comes, starts, lasts = rng.random(), rng.uniform(7, 19) * 60, rng.uniform(1, 5) * 60
    wet = wanted & (comes < _RAIN) & (minute >= starts) & (minute < starts + lasts)
    return np.where(wet, _RAIN_FACTOR, 1.0)


def autocorrelated(rng: np.random.Generator, size: int, spread: float) -> np.ndarray:
    """A first-order autoregression over ``size`` steps of about the given spread."""
    steps = rng.normal(0, spread, size)
    for index in range(1, size):
        steps[index] = 0.7 * steps[index - 1] + 0.71 * steps[index]
    return steps
