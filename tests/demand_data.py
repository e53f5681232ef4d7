"""Made demand whose days, feasts and hours are known: what tests of forecasts learn from."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from warehouse.analysis.special_days import feast_offset

WEEKDAYS = np.array([0.97, 0.99, 1.0, 1.01, 1.09, 1.18, 0.76])
HOURS = np.interp(np.arange(24), [0, 3, 7, 11, 14, 17, 20, 24], [0.1, 0.02, 0.9, 7.8, 6.6, 8.6, 3.0, 0.1])


def feast(day: date) -> float:
    """Three times an ordinary day two days before a feast, falling off to both sides; little on the day itself."""
    return {-4: 1.5, -3: 2.0, -2: 3.0, -1: 1.8, 0: 0.3, 1: 0.4}.get(feast_offset(day), 1.0)


def hourly(first: date, days: int, *, seed: int = 0, size: float = 20_000.0, effect: Callable[[date], float] = feast, noise: float = 0.04) -> pl.DataFrame:
    """Sales by hour: weekdays, the effect of a day, and noise of days and hours."""
    rng = np.random.default_rng(seed)
    each = [first + timedelta(days=n) for n in range(days)]
    levels = np.array([WEEKDAYS[day.weekday()] * effect(day) for day in each]) * np.exp(rng.normal(0, noise, days))
    values = rng.poisson(size * levels[:, None] * HOURS / HOURS.sum())
    start = datetime.combine(first, datetime.min.time())
    at = pl.datetime_range(start, start + timedelta(days=days), "1h", closed="left", eager=True)
    return pl.DataFrame({"at": at, "sales": values.ravel()})


def midnight(day: date) -> datetime:
    """Naive, in Seoul."""
    return datetime.combine(day, datetime.min.time())
