"""Has a stream of many counts dropped? Its level is followed by a Kalman filter, and every onset of the last hour or two and sizes of a drop are held against it.

The statistic is Shiryaev's and Roberts's (Shiryaev 1963; Roberts 1966; Pollak 1985): the sum over onsets of likelihood ratios, each a mean over
sizes. Less the number of steps it is a martingale while nothing happens, so that it exceeds A at most once in A steps on average.
"""

from dataclasses import dataclass

import numpy as np

from warehouse.analysis.budget import INDEPENDENT, Drift
from warehouse.analysis.panel import Array, Codes

SIZES = np.array([0.2, 0.35, 0.6, 0.95])
WEIGHTS = np.array([0.7, 0.1, 0.1, 0.1])
"""Shares that are gone, and how much each counts: what is gone by half is found in a minute or two anyhow."""

MOST_ONSETS, ONSET_MINUTES = 60, 120
"""Steps and minutes back in which an onset is looked for, three steps at least: over longer ones expectations are off by more than a level that strays."""

LEVEL_SPREAD = 0.25
"""Relative standard deviation of the level before the first sales of the day."""

MEMORY, SLOW = 240.0, 1e-6
"""Minutes after which a level has forgotten two thirds of a deviation, and the relative variance in a minute by which that to which it comes back strays.

A level that forgets sooner is followed hardly worse: the memory is a guess on the long side, and none is learnt.
"""

SHARE_LEFT = 0.88
"""What sells more than this share of its expectation since the likeliest onset, or at the end of that, is let be, however sure the drop is."""

LEAST_LEFT = 0.02


@dataclass(frozen=True)
class Followed:
    """A level before each step [row, step]: as predicted, its relative variance, and what of a step's surprise goes into its lasting and its fading part."""

    level: Array
    variance: Array
    gain: Array


@dataclass(frozen=True)
class Drops:
    """For each row and step: log of the statistic (with ``INDEPENDENT`` in it, as windows have), the likeliest onset's age in steps (1: now), the level before it."""

    strength: Array
    window: Codes
    level: Array


def onsets(step: int) -> int:
    """How many steps back an onset is looked for."""
    return int(np.clip(ONSET_MINUTES // step, 3, MOST_ONSETS))


def drops(sold: Array, expected: Array, drift: Drift, step: int, low: int = 0) -> Drops:
    """Test the steps (of ``step`` minutes) from ``low`` on of each row of ``sold`` and ``expected`` [row, step]; the level is followed from the first step on."""
    keep = float(np.exp(-step / MEMORY))
    # a level that fades so moves by the learnt drift in a step, at first
    known = _followed(sold, expected, drift, keep, drift.nation / (1 - keep**2), SLOW * step)
    found = _tested(sold, expected, known, drift.dispersion, keep, low, onsets(step))
    summed = [np.concatenate([np.zeros((len(figure), 1)), np.cumsum(figure, axis=1)], axis=1) for figure in (sold, expected)]
    end = np.broadcast_to(np.arange(low, sold.shape[1]) + 1, found.window.shape)
    lacks = np.ones(found.window.shape, dtype=bool)
    # what has recovered opens nothing: the end must lack as much
    for wide in (found.window, -(-found.window // 6)):
        observed, due = (np.take_along_axis(figure, end, 1) - np.take_along_axis(figure, end - wide, 1) for figure in summed)
        lacks &= observed <= SHARE_LEFT * due * found.level
    return Drops(np.where(lacks, found.strength, 0.0), found.window, found.level)


def _followed(sold: Array, expected: Array, drift: Drift, keep: float, fading: float, slow: float) -> Followed:
    """The level as a part that lasts (a random walk) and one that fades (autoregressive), told by sold / expected (Kalman 1960)."""
    found = np.ones((4, *sold.shape))
    for row in range(len(sold)):
        lasts, fades, a, b, c = 1.0, 0.0, LEVEL_SPREAD**2, 0.0, fading
        steps = []
        # plain floats: four times as fast as arrays of one
        for seen, due in zip(sold[row].tolist(), expected[row].tolist(), strict=True):
            a, b, c, fades = a + slow, b * keep, (c - fading) * keep**2 + fading, fades * keep
            level = max(lasts + fades, 0.05)
            of_lasting, of_fading = a + b, b + c
            variance = of_lasting + of_fading
            if due > 0:
                spread = variance + drift.dispersion * level / due
                first, second, surprise = of_lasting / spread, of_fading / spread, seen / due - level
                lasts, fades = lasts + first * surprise, fades + second * surprise
                a, b, c = a - first * of_lasting, b - first * of_fading, c - second * of_fading
            else:
                first = second = 0.0
            steps.append((level, variance / level**2, first, second))
        found[:, row] = np.array(steps).reshape(-1, 4).T
    return Followed(found[0], found[1], found[2:])


def _tested(sold: Array, expected: Array, known: Followed, dispersion: float, keep: float, low: int, onsets: int) -> Drops:
    """Likelihood ratios of negative binomials: after a drop the filter takes it for a change of level bit by bit, which each onset's own ratio allows for."""
    rows, steps = sold.shape
    ratio = np.full((len(SIZES), rows, onsets), -np.inf)
    level_then, lasting, fading = np.ones((rows, onsets)), np.zeros((rows, onsets)), np.zeros((rows, onsets))
    since = np.zeros(onsets, dtype=np.int64)
    strength, window, level = np.zeros((rows, steps - low)), np.ones((rows, steps - low), dtype=np.int64), np.ones((rows, steps - low))
    shape, mean = 1 / known.variance, expected / dispersion * known.level
    seen = np.where(expected > 0, sold, 0.0) / dispersion
    each = np.arange(rows)
    for at in range(max(low - onsets + 1, 0), steps):
        slot = at % onsets
        ratio[:, :, slot], level_then[:, slot], lasting[:, slot], fading[:, slot], since[slot] = 0.0, known.level[:, at], 0.0, 0.0, at
        fading *= keep
        untold = 1 - lasting - fading
        left = np.maximum(1 - SIZES[:, None, None] * (level_then * untold / known.level[:, at, None]), LEAST_LEFT)
        of_shape, of_mean, of_seen = shape[:, at, None], mean[:, at, None], seen[:, at, None]
        ratio += of_seen * np.log(left) - (of_seen + of_shape) * np.log((of_shape + of_mean * left) / (of_shape + of_mean))
        lasting += known.gain[0, :, at, None] * untold
        fading += known.gain[1, :, at, None] * untold
        if at >= low:
            likeliest = ratio.max(axis=0)
            top = likeliest.max(axis=1)
            summed = np.tensordot(WEIGHTS, np.exp(ratio - top[:, None]), 1).sum(axis=1)
            strength[:, at - low] = top + np.log(summed * INDEPENDENT)
            best = likeliest.argmax(axis=1)
            window[:, at - low], level[:, at - low] = at + 1 - since[best], level_then[each, best]
    return Drops(np.maximum(strength, 0.0), window, level)
