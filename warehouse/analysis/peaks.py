"""The busiest minute of a day: from its busiest hour, and by how much minutes within such hours stood out."""

from statistics import NormalDist

import numpy as np
import polars as pl

from warehouse.analysis.errors import HistoryError, need_columns
from warehouse.analysis.forecast import LEVELS, Forecast, quantile_name
from warehouse.analysis.panel import Array
from warehouse.analysis.times import DAY, minutes_of

DRAWS = 4_000
GUMBEL = 2.4
"""How many standard deviations the largest of an hour or two of independent Poisson minutes stands above their mean."""

BELIEVED = (0.08, 0.05)
"""Mean and standard deviation of the logarithm by which the busiest minute's rate exceeds the busiest hour's, where no minutes are known; they count as three days."""

TOGETHER = 0.9
"""How much of an hour's deviation a day's hours share: days are high or low as a whole."""


def peak_minutes(found: Forecast, history: pl.DataFrame | None, *, levels: tuple[float, ...] = LEVELS, seed: int = 0) -> pl.DataFrame:
    """``date`` and the quantiles of attempts in the busiest minute of each day of a nation's forecast of attempts.

    ``history``: ``minute_at``, ``attempts`` of minutes of the nation without incidents; None: how minutes stand out is what is believed. A day is drawn ``DRAWS`` times with a fixed seed: its hours from
    their quantiles, high or low together, times what a busiest minute has above its hour, and Poisson chance.

    Raises:
        HistoryError: the forecast is of no attempts.
    """
    levels_known = np.array([float(name[1:]) / 100 for name in found.hours.columns if name.startswith("q")])
    hours = found.hours.select("^q.*$").to_numpy().reshape(-1, 24, len(levels_known))
    if not hours.size:
        raise HistoryError("forecast: expected hours, got none.")
    above = _above(history)
    rng = np.random.default_rng(seed)
    normal = NormalDist()
    z = np.array([normal.inv_cdf(level) for level in levels_known])
    quantiles = np.empty((len(hours), len(levels)))
    for day, of_day in enumerate(hours):
        shared, own = rng.normal(size=(DRAWS, 1)), rng.normal(size=(DRAWS, 24))
        drawn = np.sqrt(TOGETHER) * shared + np.sqrt(1 - TOGETHER) * own
        rates = np.stack([_by_quantiles(drawn[:, hour], z, of_day[hour]) for hour in range(24)], axis=1).max(axis=1) / 60
        structure = np.exp(rng.normal(above[0], above[1], DRAWS))
        most = rates * structure
        chance = GUMBEL + rng.gumbel(0, 0.4, DRAWS)
        quantiles[day] = np.quantile(most + np.sqrt(np.maximum(most, 0)) * np.maximum(chance, 0), levels)
    dates = found.days["date"]
    return pl.DataFrame([dates, *(pl.Series(quantile_name(level), quantiles[:, n]) for n, level in enumerate(levels))])


def _by_quantiles(drawn: Array, z: Array, quantiles: Array) -> Array:
    """Values at standard normal deviates, straight between known quantiles on a logarithmic scale, and on beyond them by the upper half's slope."""
    logs = np.log(np.maximum(quantiles, 1e-6))
    slope = (logs[-1] - logs[0]) / max(z[-1] - z[0], 1e-9)
    found: Array = np.exp(
        np.where(drawn < z[0], logs[0] + (drawn - z[0]) * slope, np.where(drawn > z[-1], logs[-1] + (drawn - z[-1]) * slope, np.interp(drawn, z, logs)))
    )
    return found


def _above(history: pl.DataFrame | None) -> tuple[float, float]:
    """Mean and spread of the logarithm of the busiest minute's rate over the busiest hour's, without what chance alone makes of a Poisson minute."""
    days = _days(history) if history is not None else []
    rest = np.array([np.log(max((most - GUMBEL * np.sqrt(most)) / hour, 0.5)) for hour, most in days])
    mean = (rest.sum() + 3 * BELIEVED[0]) / (len(rest) + 3)
    spread = (float(((rest - mean) ** 2).sum()) + 3 * BELIEVED[1] ** 2) / (len(rest) + 3)
    return float(mean), float(np.sqrt(spread))


def _days(history: pl.DataFrame) -> list[tuple[float, float]]:
    """Of each whole day: mean of a minute in the busiest hour, and the busiest minute."""
    need_columns(history, "history", ("minute_at", "attempts"))
    minute = minutes_of(history["minute_at"], "history: minute_at")
    if not len(minute):
        return []
    first = int(minute.min()) // DAY
    count = int(minute.max()) // DAY - first + 1
    values = np.bincount(minute - first * DAY, history["attempts"].to_numpy().astype(float), count * DAY).reshape(count, DAY)
    hours = values.reshape(count, 24, 60).mean(axis=2).max(axis=1)
    known = (values > 0).sum(axis=1) > DAY / 3
    return [(float(hour), float(most)) for hour, most in zip(hours[known], values.max(axis=1)[known], strict=True) if hour > 0]
