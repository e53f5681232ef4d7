"""Is this minute beyond chance? Two tests over trailing windows, of every stream at once; that for missing sales of the nation is another (``drops``).

Both statistics of windows are exponents of Chernoff's bound (Chernoff 1952) for a negative binomial, which is a Poisson count around a level
known up to a relative variance: an ordinary platform exceeds ``x`` in a window with probability at most exp(-x).
"""

from dataclasses import dataclass

import numpy as np

from warehouse.analysis.budget import Drift, reaching
from warehouse.analysis.drops import drops
from warehouse.analysis.levels import followed, strayed
from warehouse.analysis.panel import Array, Codes, Mask

FAILURE_WINDOWS = (1, 2, 5, 15)
FEWEST_FAILURES = 5
ALARMING_FAILURE_RATE = 0.05
HIGHEST_ORDINARY_RATE = 0.05
RATE_BEFORE = (2.0, 200.0)
"""What the ordinary failure rate is taken for before any attempt of the day: 2 of 200."""

RATE_DRIFT = 0.0015
"""Relative variance by which the ordinary failure rate strays in a step: 30 % an hour."""

RATE_SPREAD = 0.05
"""Relative variance of failures beyond the binomial: they come in bursts."""

MISSING_WINDOWS = (1, 2, 3, 5, 8, 12, 20, 30, 45)
PART_SHARE_LEFT = 0.8
"""What sells more than this share of a part's expectation is let be, however sure the shortfall is."""

BEYOND_WEATHER = 5.0
"""The exponent that a region's sales must have against that share of its expectation: a fifth is what rain takes from it on any day."""

LEVEL_SPREAD = 0.25
"""Relative standard deviation of the level before the first sales of the day."""


@dataclass(frozen=True)
class Counts:
    """Counts of streams [stream, step]: attempts, failed, approved and expected approved; the nation is stream 0.

    ``begin`` [step] is the index from which on the step's windows may look; there the level is learnt anew. ``part`` [stream] are parts
    of the nation, ``alarm`` [stream] is the exponent at which each alarms, ``step`` is in minutes. ``beyond`` [stream, 1] is the exponent that sales must
    have against ``PART_SHARE_LEFT`` of the expectation.
    """

    attempts: Array
    failed: Array
    approved: Array
    expected: Array
    begin: Codes
    part: Mask
    alarm: Array
    step: int = 1
    beyond: Array | float = 0.0


@dataclass(frozen=True)
class Evidence:
    """What the tests say [stream, step - low]: the larger statistic of each kind over its alarm, its window in steps, and the level before it.

    1 or more is an alarm.
    """

    low: int
    failure: Array
    failure_window: Codes
    missing: Array
    missing_window: Codes
    level: Array
    rate: Array

    @property
    def strength(self) -> Array:
        """The stronger of both."""
        return np.maximum(self.failure, self.missing)

    @property
    def alarm(self) -> Mask:
        """Where either test alarms."""
        return self.strength >= 1


@dataclass(frozen=True)
class Ordinary:
    """What is ordinary after each step [stream, 1 + step]: level of sales and failure rate, each with its precision (1 / relative variance)."""

    level: Array
    level_precision: Array
    rate: Array
    rate_precision: Array


def ordinary(counts: Counts, drift: Drift) -> Ordinary:
    """Follow level and failure rate of each stream through the steps."""
    first = (np.full(len(counts.part), RATE_BEFORE[0]), np.full(len(counts.part), RATE_BEFORE[1]))
    rate, rate_precision = followed(counts.failed, counts.attempts, counts.begin, np.full(len(counts.part), RATE_DRIFT), first)
    return Ordinary(*ordinary_level(counts, drift), np.minimum(rate, HIGHEST_ORDINARY_RATE), rate_precision)


def ordinary_level(counts: Counts, drift: Drift) -> tuple[Array, Array]:
    """The level of sales alone, and its precision [stream, 1 + step]."""
    start = np.full(len(counts.part), 1 / LEVEL_SPREAD**2)
    # where nothing is expected nothing is learnt
    sold = counts.approved * (counts.expected > 0)
    of_level = np.where(counts.part, drift.part, drift.nation)
    return followed(sold / drift.dispersion, counts.expected / drift.dispersion, counts.begin, of_level, (start, start))


def evidence(counts: Counts, drift: Drift, known: Ordinary, low: int, high: int) -> Evidence:
    """Test every stream in the steps [low, high)."""
    failure, failure_window, rate = _failure(counts, known, low, high)
    missing, missing_window, level = missing_in_parts(counts, drift, (known.level, known.level_precision), low, high)
    # the nation sells enough for every onset and size of drop to be weighed
    nation = drops(counts.approved[:1, :high], counts.expected[:1, :high], drift, counts.step, low)
    missing[:1], missing_window[:1], level[:1] = nation.strength, nation.window, nation.level
    all_day, width = missing_all_day(counts, drift, low, high)
    alarm = counts.alarm[:, None]
    tail, day_tail = (np.where(counts.part, drift.part_tail, of_nation)[:, None] for of_nation in (drift.nation_tail, drift.day_tail))
    missing, all_day = missing / (alarm + tail), all_day / (alarm + day_tail)
    # only where it alarms: else the level that is followed tells more of now
    longer = (all_day >= 1) & (all_day > missing)
    missing, missing_window, level = np.where(longer, all_day, missing), np.where(longer, width, missing_window), np.where(longer, 1.0, level)
    return Evidence(low, failure / alarm, failure_window, missing, missing_window, level, rate)


def trailing(figure: Array, width: int, begin: Codes, low: int, high: int) -> Array:
    """Sums over the last ``width`` steps of each step of [low, high), not from before ``begin``."""
    return Trailing(figure, begin, low, high).over(width)


class Trailing:
    """Sums of a figure [stream, step] over windows that end with each step of [low, high) and do not begin before ``begin``."""

    def __init__(self, figure: Array, begin: Codes, low: int, high: int) -> None:
        # with a leading zero, up to ``high``
        self.summed = np.zeros((*figure.shape[:-1], high + 1))
        np.cumsum(figure[..., :high], axis=-1, out=self.summed[..., 1:])
        self.end, self.floor = np.arange(low, high) + 1, begin[low:high]
        self.low = low

    def over(self, width: int) -> Array:
        """Over the last ``width`` steps."""
        sums: Array = self.summed[..., self.low + 1 :] - self.summed[..., np.maximum(self.end - width, self.floor)]
        return sums


def shortfall_exponent(observed: Array, mean: Array, doubt: Array) -> Array:
    """-log of Chernoff's bound for so few or fewer of a negative binomial with ``mean`` and relative variance ``doubt``; 0 above the mean."""
    return np.where((observed < mean) & (mean > 0), _exponent(observed, mean, doubt), 0.0)


def excess_exponent(observed: Array, mean: Array, doubt: Array) -> Array:
    """The same for so many or more; 0 below the mean."""
    return np.where((observed > mean) & (mean > 0), _exponent(observed, mean, doubt), 0.0)


def change_point(gain: Array) -> int:
    """The index from which on the summed log-likelihood ratio to the end is largest: the maximum-likelihood onset (Page 1954; Hinkley 1970)."""
    tail = np.cumsum(gain[::-1])
    return len(gain) - 1 - int(np.argmax(tail))


def _exponent(observed: Array, mean: Array, doubt: Array) -> Array:
    shape = 1 / doubt
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(observed > 0, observed * np.log(observed / mean), 0.0)
        return own - (observed + shape) * np.log((observed + shape) / (mean + shape))


def _failure(counts: Counts, known: Ordinary, low: int, high: int) -> tuple[Array, Codes, Array]:
    best = np.zeros((len(counts.failed), high - low))
    window, rate = np.full(best.shape, FAILURE_WINDOWS[-1]), np.zeros(best.shape)
    all_failed, all_attempts = (Trailing(figure, counts.begin, low, high) for figure in (counts.failed, counts.attempts))
    for width in reaching(FAILURE_WINDOWS, counts.step):
        failed, attempts = all_failed.over(width), all_attempts.over(width)
        before = np.maximum(np.arange(low, high) + 1 - width, counts.begin[low:high])
        usual, precision = known.rate[:, before], known.rate_precision[:, before]
        doubt = 1 / precision + strayed(RATE_DRIFT, width) + RATE_SPREAD
        alarming = (failed >= FEWEST_FAILURES) & (failed >= np.maximum(ALARMING_FAILURE_RATE, 2 * usual) * attempts)
        # hardly a cell is: exponents are reckoned where one is
        found = np.zeros(best.shape)
        found[alarming] = excess_exponent(failed[alarming], (usual * attempts)[alarming], doubt[alarming])
        better = found > best
        window, rate, best = np.where(better, width, window), np.where(better, usual, rate), np.where(better, found, best)
    return best, window, rate


def missing_in_parts(counts: Counts, drift: Drift, known: tuple[Array, Array], low: int, high: int) -> tuple[Array, Codes, Array]:
    """How far beyond chance each stream lacks sales [stream, step - low], each held against what stream 0 lacks; the window in steps, the level before it.

    ``known`` are the level of sales and its precision, as ``ordinary_level`` follows them.
    """
    levels, precision = known
    best = np.zeros((len(counts.approved), high - low))
    window, level = np.full(best.shape, MISSING_WINDOWS[-1]), np.ones(best.shape)
    sums = _Sales.of(counts, drift, low, high)
    for width in reaching(MISSING_WINDOWS, counts.step):
        before = np.maximum(np.arange(low, high) + 1 - width, counts.begin[low:high])
        then = levels[:, before]
        found = sums.lacking(width, then, 1 / precision[:, before])
        better = found > best
        window, level, best = np.where(better, width, window), np.where(better, then, level), np.where(better, found, best)
    return best, window, level


def missing_all_day(counts: Counts, drift: Drift, low: int, high: int) -> tuple[Array, int]:
    """The same over the longest window against the level that a day has before its first sales, and that window in steps.

    What is gone when hardly anything is due, at night, is learnt as the level before it is beyond chance: held against that, it would never be missed.
    """
    width = reaching(MISSING_WINDOWS, counts.step)[-1]
    of_day = np.where(counts.part, LEVEL_SPREAD**2, drift.day)[:, None]
    shape = (len(counts.part), high - low)
    return _Sales.of(counts, drift, low, high).lacking(width, np.ones(shape), np.broadcast_to(of_day, shape)), width


@dataclass(frozen=True)
class _Sales:
    """Sums of what each stream sold and of what was expected over windows that end with each step, and how both stray; stream 0 is the nation."""

    sold: Trailing
    expected: Trailing
    dispersion: float
    drift: Array
    beyond: Array

    @classmethod
    def of(cls, counts: Counts, drift: Drift, low: int, high: int) -> "_Sales":
        sold, expected = (Trailing(figure, counts.begin, low, high) for figure in (counts.approved, counts.expected))
        straying = np.where(counts.part, drift.part, drift.nation)[:, None]
        return cls(sold, expected, drift.dispersion, straying, np.broadcast_to(counts.beyond, (len(counts.approved), high - low)))

    def lacking(self, width: int, level: Array, variance: Array) -> Array:
        """How far beyond chance the last ``width`` steps lack sales, of a level that is known up to a relative variance [stream, step]."""
        observed = self.sold.over(width)
        mean = self.expected.over(width) * level
        # what the rest of the nation lacks as well is no fault of a part
        few = 40 * self.dispersion
        mean *= np.clip((observed[:1] - observed + few) / (np.maximum(mean[:1] - mean, 0) + few), 0.0, 1.0)
        # what has recovered opens nothing: the window's end must lack as much
        end = -(-width // 6)
        lacks = (observed < PART_SHARE_LEFT * mean) & (self.sold.over(end) <= PART_SHARE_LEFT * self.expected.over(end) * level)
        doubt = (variance + strayed(self.drift, width))[lacks]
        seen, wanted = observed[lacks] / self.dispersion, mean[lacks] / self.dispersion
        found = np.zeros(observed.shape)
        found[lacks] = np.where(shortfall_exponent(seen, PART_SHARE_LEFT * wanted, doubt) > self.beyond[lacks], shortfall_exponent(seen, wanted, doubt), 0.0)
        return found
