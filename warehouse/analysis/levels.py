"""A level that strays, followed step by step, and how fast it strays, learnt from days that were ordinary."""

import numpy as np

from warehouse.analysis.budget import Drift, reaching
from warehouse.analysis.panel import Array, Codes, Mask

LAGS = (1, 2, 5, 10, 15, 20, 30)
LEAST_EXPECTED = 5.0
"""Steps in which less is expected tell chance, and little of the level."""

SLOWEST, FASTEST = 2e-5, 2e-3
"""Bounds of the relative variance in a minute: a standard deviation of 3.5 % and of 35 % an hour."""

DAY_SPREADS = (0.12**2, 0.25**2)
"""Bounds of the relative variance of a day's level: with less, a day that weather or a holiday takes a third from would be an incident."""


def followed(seen: Array, expected: Array, begin: Codes, drift: Array, start: tuple[Array, Array]) -> tuple[Array, Array]:
    """Level and precision [stream, 1 + step]: at k + 1 after step k, at k before it.

    A gamma belief about the ratio of seen to expected; in each step its relative variance grows by ``drift`` and it learns from one Poisson
    count: the local-level model for counts (Harvey and Fernandes 1989; West and Harrison 1997, 10.8), with additive drift in place
    of a discount. ``start`` are the pseudo counts seen and expected where ``begin`` [step] says that the belief begins anew.
    """
    level, precision = np.empty((len(seen), seen.shape[1] + 1)), np.empty((len(seen), seen.shape[1] + 1))
    shape, rate = start
    level[:, 0], precision[:, 0] = shape / rate, shape
    anew = begin == np.arange(len(begin))
    by_step, by_step_expected = np.ascontiguousarray(seen.T), np.ascontiguousarray(expected.T)
    for step in range(seen.shape[1]):
        if anew[step]:
            shape, rate = start
            level[:, step], precision[:, step] = shape / rate, shape
        kept = 1 / (1 + drift * shape)
        shape = shape * kept + by_step[step]
        rate = rate * kept + by_step_expected[step]
        level[:, step + 1], precision[:, step + 1] = shape / rate, shape
    return level, precision


def strayed(drift: Array | float, width: int) -> Array:
    """Relative variance that the mean over the next ``width`` steps gains by straying."""
    return np.asarray(drift * (width + 1) * (2 * width + 1) / (6 * width))


def drift_of(sold: Array, expected: Array, seen: Mask, step: int) -> Drift | None:
    """How fast levels strayed and how noisy sales were, from ``sold`` and ``expected`` [place, day, slot] of past days; None where too little is known.

    Half the mean square of differences of the ratio, over lags (the variogram, Matheron 1963), is dispersion / expected at any lag plus
    drift x lag / 2: least squares for both. A day's figure is the mean over its pairs; the tenth of days that strayed most is left
    out, for it may hold incidents that nobody knows of.
    """
    whole = _variogram(sold.sum(axis=0)[None], expected.sum(axis=0)[None], seen, step)
    if whole is None:
        return None
    dispersion, nation = _line(*whole)
    parts = _variogram(sold, expected, seen, step)
    part = nation if parts is None else _line(*parts)[1]
    bounds = (SLOWEST * step, FASTEST * step)
    nation = float(np.clip(nation, *bounds))
    return Drift(nation, float(np.clip(part, nation, bounds[1])), dispersion, day=_of_days(sold.sum(axis=0) * seen, expected.sum(axis=0) * seen))


def _of_days(sold: Array, expected: Array) -> float:
    """Relative variance of whole days [day, slot] around what was expected of them, the tenth that strayed most left out."""
    due = expected.sum(axis=1)
    squares = np.sort((sold.sum(axis=1)[due > 0] / due[due > 0] - 1) ** 2)
    return float(np.clip(squares[: -(-9 * len(squares) // 10)].mean(), *DAY_SPREADS)) if len(squares) else DAY_SPREADS[1]


def _line(noise: Array, half_squares: Array, lags: Array) -> tuple[float, float]:
    """Dispersion and drift that explain a variogram best, neither below nothing."""
    design = np.stack([noise, lags / 2], axis=1)
    weight = 1 / np.maximum(half_squares, 1e-12)
    dispersion, drift = np.linalg.lstsq(design * weight[:, None], half_squares * weight, rcond=None)[0]
    if dispersion <= 0:
        return max(float(half_squares[0] / noise[0]) / 10, 1e-9), float((half_squares / lags).max() * 2)
    if drift <= 0:
        return float((half_squares / noise).mean()), 0.0
    return float(dispersion), float(drift)


def _variogram(sold: Array, expected: Array, seen: Mask, step: int) -> tuple[Array, Array, Array] | None:
    """For each lag: mean of 1 / expected, half the mean square of differences of the ratio, and the lag; days trimmed."""
    known = seen & (expected >= LEAST_EXPECTED)
    safe = np.where(known, expected, 1.0)
    ratio = np.where(known, np.minimum(sold / safe, 4.0), 0.0)
    noise, half_squares, lags = [], [], []
    for lag in [lag for lag in reaching(LAGS, step) if lag < sold.shape[2] // 2]:
        both = known[..., lag:] & known[..., :-lag]
        # a day's level is told by its own sales: relative to it, a quiet day strays no less than a busy one
        weight = both * np.minimum(safe[..., lag:], safe[..., :-lag])
        squares = weight * (ratio[..., lag:] - ratio[..., :-lag]) ** 2 / 2
        of_noise = weight * (ratio[..., lag:] / safe[..., lag:] + ratio[..., :-lag] / safe[..., :-lag]) / 2
        total = weight.sum(axis=(0, 2))
        days = total > 0
        if days.sum() < 2:
            continue
        each = squares.sum(axis=(0, 2))[days] / total[days]
        kept = each <= np.quantile(each, 0.9)
        noise.append(float((of_noise.sum(axis=(0, 2))[days] / total[days])[kept].mean()))
        half_squares.append(float(each[kept].mean()))
        lags.append(float(lag))
    return (np.array(noise), np.array(half_squares), np.array(lags)) if len(lags) > 2 else None
