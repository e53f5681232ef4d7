"""Is this minute beyond chance? Two tests over trailing windows, for the nation, each region and each channel at once.

Both statistics are exponents of Chernoff's bound (Chernoff 1952): a window of an ordinary platform exceeds ``x`` with probability
at most exp(-x). Failures are binomial. Sales are negative binomial: Poisson around a level that is uncertain by 15 % and more.
"""

from dataclasses import dataclass

import numpy as np

from warehouse.analysis.panel import Array, Codes, Mask
from warehouse.analysis.times import DAY

LOOKBACK = 60
"""Minutes before a minute that its tests may look at."""

FAILURE_WINDOWS = (1, 5, 15)
ORDINARY_FAILURE_RATE = 0.02
ALARMING_FAILURE_RATE = 0.05
FEWEST_FAILURES = 5
FAILURE_ALARM = 14.0

MISSING_WINDOWS = (2, 5, 15, 30)
ALARMING_SHARE_LEFT = 0.6
MISSING_ALARM = 12.0
DRIFT = 0.15
"""How far the level strays within an hour, as a relative standard deviation."""

NATION_LEVEL_SPREAD = 0.25
PART_LEVEL_SPREAD = 0.15
_SEOUL = 540


@dataclass(frozen=True)
class Counts:
    """Counts of streams [stream, minute]: attempts, failed, approved and expected approved. ``midnight`` [minute] is the index at which its day starts."""

    attempts: Array
    failed: Array
    approved: Array
    expected: Array
    midnight: Codes

    def part(self, low: int, high: int) -> "Counts":
        """Minutes [low, high) and the hour before; index ``LOOKBACK`` is ``low``."""
        begin = low - LOOKBACK
        span = slice(begin, high)
        return Counts(self.attempts[:, span], self.failed[:, span], self.approved[:, span], self.expected[:, span], self.midnight[span] - begin)


@dataclass(frozen=True)
class Evidence:
    """What the tests say [stream, minute], from index ``LOOKBACK`` on: the larger statistic of each kind over its alarm, and its window in minutes.

    1 or more is an alarm. ``level`` is the level of sales learnt from half an hour to an hour before.
    """

    failure: Array
    failure_window: Array
    missing: Array
    missing_window: Array
    level: Array

    @property
    def strength(self) -> Array:
        """The stronger of both."""
        return np.maximum(self.failure, self.missing)

    @property
    def alarm(self) -> Mask:
        """Where either test alarms."""
        return self.strength >= 1


def evidence(counts: Counts) -> Evidence:
    """Test every stream in every minute; stream 0 is the nation, and parts are judged against the rest of it."""
    failure, failure_window = _failure(counts)
    level, doubt = _levels(counts)
    missing, missing_window = _missing(counts, level, doubt)
    return Evidence(failure, failure_window, missing, missing_window, level)


def trailing(figure: Array, width: int, floor: Codes | None = None) -> Array:
    """Sums over the last ``width`` minutes of each minute from ``LOOKBACK`` on, not beyond ``floor`` (an index a minute)."""
    end = np.arange(LOOKBACK, figure.shape[-1]) + 1
    return between(figure, end - width, end, floor)


def between(figure: Array, begin: Codes, end: Codes, floor: Codes | None = None) -> Array:
    """Sums over [begin, end) of each minute from ``LOOKBACK`` on, not beyond ``floor``."""
    summed = np.concatenate([np.zeros((*figure.shape[:-1], 1)), np.cumsum(figure, axis=-1)], axis=-1)
    if floor is not None:
        begin, end = np.maximum(begin, floor[LOOKBACK:]), np.maximum(end, floor[LOOKBACK:])
    sums: Array = summed[..., end] - summed[..., begin]
    return sums


def binomial_exponent(failed: Array, attempts: Array, ordinary: float) -> Array:
    """-log of Chernoff's bound for so many failures or more among the attempts at the ordinary rate; 0 below that rate."""
    rate = np.divide(failed, attempts, out=np.zeros_like(failed), where=attempts > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        up = np.where(rate > 0, rate * np.log(rate / ordinary), 0.0)
        down = np.where(rate < 1, (1 - rate) * np.log((1 - rate) / (1 - ordinary)), 0.0)
    return np.where(rate > ordinary, attempts * (up + down), 0.0)


def shortfall_exponent(observed: Array, mean: Array, doubt: Array) -> Array:
    """-log of Chernoff's bound for so few or fewer of a negative binomial with ``mean`` and relative variance ``doubt``; 0 above the mean."""
    shape = 1 / doubt
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(observed > 0, observed * np.log(observed / mean), 0.0)
        found = own - (observed + shape) * np.log((observed + shape) / (mean + shape))
    return np.where((observed < mean) & (mean > 0), found, 0.0)


def _failure(counts: Counts) -> tuple[Array, Array]:
    best = np.zeros((len(counts.failed), counts.failed.shape[1] - LOOKBACK))
    window = np.full(best.shape, FAILURE_WINDOWS[-1])
    for width in FAILURE_WINDOWS:
        failed, attempts = trailing(counts.failed, width), trailing(counts.attempts, width)
        alarming = (failed >= FEWEST_FAILURES) & (failed >= ALARMING_FAILURE_RATE * attempts)
        found = np.where(alarming, binomial_exponent(failed, attempts, ORDINARY_FAILURE_RATE) / FAILURE_ALARM, 0.0)
        window, best = np.where(found > best, width, window), np.maximum(found, best)
    return best, window


def _levels(counts: Counts) -> tuple[Array, Array]:
    """Level and its relative variance, from the minutes 59 to 30 before; gamma-Poisson, parts lean on the nation, the nation on 1."""
    end = np.arange(LOOKBACK, counts.approved.shape[1]) - 29
    sold = between(counts.approved, end - 30, end, counts.midnight)
    expected = between(counts.expected, end - 30, end, counts.midnight)
    strength = 1 / NATION_LEVEL_SPREAD**2
    nation = (sold[:1] + strength) / (expected[:1] + strength)
    of_nation = 1 / (expected[:1] + strength)
    strength = 1 / PART_LEVEL_SPREAD**2
    parts = (sold[1:] + strength * nation) / (expected[1:] + strength)
    level = np.concatenate([nation, parts])
    return level, np.concatenate([of_nation, of_nation + 1 / (expected[1:] + strength)])


def _missing(counts: Counts, level: Array, doubt: Array) -> tuple[Array, Array]:
    best = np.zeros(level.shape)
    window = np.full(best.shape, MISSING_WINDOWS[-1])
    for width in MISSING_WINDOWS:
        observed = trailing(counts.approved, width, counts.midnight)
        mean = trailing(counts.expected, width, counts.midnight) * level
        # what the rest of the nation lacks as well is no fault of a part
        strength = 1 / DRIFT**2
        rest = (observed[:1] - observed[1:] + strength) / (np.maximum(mean[:1] - mean[1:], 0) + strength)
        mean = np.concatenate([mean[:1], mean[1:] * np.clip(rest, 0.0, 1.0)])
        found = shortfall_exponent(observed, mean, DRIFT**2 + doubt) / MISSING_ALARM
        found = np.where(observed <= ALARMING_SHARE_LEFT * mean, found, 0.0)
        window, best = np.where(found > best, width, window), np.maximum(found, best)
    return best, window


def midnights(first: int, count: int) -> Codes:
    """For each of ``count`` minutes from ``first`` (UTC) on, the index at which its day in Seoul starts; it may be negative."""
    minute = np.arange(first, first + count) + _SEOUL
    return minute // DAY * DAY - first - _SEOUL


def change_point(gain: Array) -> int:
    """The index from which on the summed log-likelihood ratio to the end is largest: the maximum-likelihood onset (Page 1954; Hinkley 1970)."""
    tail = np.cumsum(gain[::-1])
    return len(gain) - 1 - int(np.argmax(tail))
