"""How demand moves: by minute of the day, weekday, holiday, market day, and by noise that markets share."""

from datetime import date
from functools import cache

import holidays
import numpy as np
import polars as pl

from streams.simulator.chance import draws
from streams.simulator.scenario import Scenario

MINUTES = 1440

_WEEKDAYS = np.array([0.97, 0.99, 1.00, 1.01, 1.09, 1.18, 0.76])
_HOLIDAY = 0.85

# Relative demand at each full hour 0-24; a market day starts and ends earlier.
_DAILY = np.array([0.10, 0.05, 0.03, 0.02, 0.03, 0.08, 0.30, 0.9, 2.2, 4.4, 6.6, 7.8, 6.9, 6.2, 6.6, 7.4, 8.3, 8.6, 7.4, 5.0, 3.0, 1.7, 0.8, 0.3, 0.10])
_MARKET_DAY = np.array([0.05, 0.02, 0.02, 0.02, 0.05, 0.4, 1.8, 4.2, 7.0, 9.3, 10.4, 10.0, 8.4, 7.2, 6.4, 5.6, 4.6, 3.2, 1.8, 0.9, 0.5, 0.3, 0.2, 0.1, 0.05])


def day_level(day: date) -> float:
    """A day's national demand as a multiple of an average day's: weekday, or Sunday-like on a Korean public holiday."""
    weekday = float(_WEEKDAYS[day.weekday()] / _WEEKDAYS.mean())
    return min(weekday, _HOLIDAY) if day in _holidays(day.year) else weekday


def is_market_day(cycle: str | None, day: date) -> bool:
    """Whether a market of this cycle (last digits of the day of the month) has its market day."""
    return cycle is not None and str(day.day % 10) in cycle.split(",")


def market_levels(scenario: Scenario, markets: pl.DataFrame, day: date) -> tuple[np.ndarray, np.ndarray]:
    """Each market's purchases wanted on a day (a mean, not a draw), and whether it is its market day."""
    rng = draws(scenario.seed, "levels", day.toordinal())
    held = np.array([is_market_day(cycle, day) for cycle in markets["cycle"]])
    factor = scenario.country.market_day_factor
    cyclic = markets["cycle"].is_not_null().to_numpy()
    of_cycle = np.where(cyclic, np.where(held, factor, 1.0) / (0.2 * factor + 0.8), 1.0)
    region = markets["region"].rank("dense").to_numpy() - 1
    noise = scenario.demand.noise
    shared = _lognormal(rng, noise, 1)[0] * _lognormal(rng, noise, 17)[region] * _lognormal(rng, 3 * noise, len(markets))
    wanted = scenario.demand.purchases_a_day * scenario.scale * day_level(day) * markets["share"].to_numpy() * of_cycle * shared
    return wanted, held


def minute_profiles(scenario: Scenario, day: date) -> np.ndarray:
    """Shares of a day's demand by minute, 2 x 1440: an ordinary day's and a market day's, bent by noise that lasts for an hour or so.

    Outside the scenario's hours nobody buys; the shares of the other minutes stay as they are.
    """
    rng = draws(scenario.seed, "minutes", day.toordinal())
    minute = np.arange(MINUTES)
    shapes = np.stack([np.interp(minute, np.arange(25) * 60, shape) for shape in (_DAILY, _MARKET_DAY)])
    bent = shapes * np.exp(np.interp(minute, np.arange(0, MINUTES + 30, 30), _autocorrelated(rng, MINUTES // 30 + 1, scenario.demand.noise)))
    opens, closes = scenario.hours
    return np.where((minute >= opens * 60) & (minute < closes * 60), bent / shapes.sum(axis=1, keepdims=True), 0.0)


@cache
def _holidays(year: int) -> holidays.HolidayBase:
    return holidays.country_holidays("KR", years=year)


def _lognormal(rng: np.random.Generator, spread: float, size: int) -> np.ndarray:
    """Factors around a mean of one."""
    return rng.lognormal(-(spread**2) / 2, spread, size)


def _autocorrelated(rng: np.random.Generator, size: int, spread: float) -> np.ndarray:
    steps = rng.normal(0, spread, size)
    for index in range(1, size):
        steps[index] = 0.7 * steps[index - 1] + 0.71 * steps[index]
    return steps
