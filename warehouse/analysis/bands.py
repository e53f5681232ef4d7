"""Which past windows an interval is made of, and by how much it is widened where they say too little."""

from dataclasses import dataclass
from math import exp, log
from statistics import NormalDist

import numpy as np

from warehouse.analysis.intervals import CHOSEN_AT, FEW_WINDOWS, band, windows_needed
from warehouse.analysis.panel import Array, Codes, Mask
from warehouse.analysis.remarks import Remark
from warehouse.analysis.windows import PastWindows, Situation, Window

OLD_DAYS = 3
"""History that ends longer before the incident is called old, and the interval is widened."""

JUDGED_AT = 0.9
"""The probability for which the widenings below were judged; of another they grow or shrink as a normal error would."""

LEANING_DAYS = 3

NOTABLE = 0.01
"""A recovery that adds less uncertainty than this, relative to what is expected, changes nothing that anybody sees."""

SMALL = 0.5
"""A past window's error is relative to its expectation, or to so much of what its like hold in the mean: of next to nothing, one sale is a thousandfold."""


@dataclass(frozen=True)
class Wider:
    """What makes a band of relative errors wider: half-widths ``below`` and ``above``, added in quadrature, and other levels that today may have, as factors of what is expected."""

    below: float = 0.0
    above: float = 0.0
    least: float = 1.0
    most: float = 1.0


def extra_width(situation: Situation, found: Window, past: PastWindows, level: float, warnings: list[Remark]) -> float:
    """A relative half-width of probability ``level`` to add in quadrature: for old history, a level of sales beyond any that was seen, and recoveries."""
    extra = 0.0
    if situation.gap > OLD_DAYS:
        expected, observed = past.expected[:, situation.hit].sum(axis=1), past.observed[:, situation.hit].sum(axis=1)
        known = expected > 0
        spread = float(np.sqrt((_relative(observed, expected)[known] ** 2).mean())) if known.any() else 0.1
        extra = spread * (situation.gap / 7) ** 0.5
    widest = max((abs(log(one)) for one in past.level if one > 0), default=0.0)
    today = abs(log(found.level)) if found.level > 0 else 0.0
    if today > max(1.5 * widest, log(1.25)):
        extra = float(np.hypot(extra, exp(0.25 * today) - 1))
        warnings.append(Remark("level_unseen", {"level": found.level}))
    if found.unsure > NOTABLE:
        extra = float(np.hypot(extra, found.unsure * _reach(JUDGED_AT)))
        warnings.append(Remark("recovering"))
    return extra * _reach(level) / _reach(JUDGED_AT)


def _reach(level: float) -> float:
    """How many standard deviations a normal interval of that probability reaches on either side."""
    return NormalDist().inv_cdf((1 + level) / 2)


class Bands:
    """Bands of relative errors for any grouping of the places, from the past windows."""

    def __init__(self, past: PastWindows, kind: int, own_days: int, level: float, wider: Wider, warnings: list[Remark] | None) -> None:
        alike = past.kind == kind
        # which windows speak does not change with the level, or a surer interval could be narrower
        needed = windows_needed(CHOSEN_AT)
        enough = len(np.unique(past.day[alike])) // own_days >= needed
        use = alike if enough else np.ones(len(alike), dtype=bool)
        self.past = past.where(use)
        days = len(np.unique(past.day[use]))
        self.independent, self.inflation = days // own_days, 1.0
        if own_days > 1 and self.independent < needed and days >= FEW_WINDOWS:
            self.independent, self.inflation = min(days, needed - 1), _inflation(self.past)
        self.kind, self.own_days = kind, own_days
        self.level, self.wider = level, wider
        how = "days" if self.inflation > 1 else band(np.zeros((1, 1)), self.independent, level).how
        self.how = Remark(f"interval_{how}", {"windows": self.independent})
        if self.how.code != "interval_conformal" and warnings is not None:
            most = max(needed, windows_needed(level))
            warnings.append(Remark("few_windows", {"windows": self.independent, "confidence": level, "needed": most, "interval": self.how}))

    def of(self, groups: Array | None, places: Codes) -> tuple[Array, Array]:
        """The band of each column of ``groups`` [place, group], or of each place, from the windows that hold an expectation of it."""
        expected, observed = self.past.expected[:, places], self.past.observed[:, places]
        scales = _scales(observed.sum(axis=1), expected.sum(axis=1), self.past, self.kind)
        if groups is not None:
            expected, observed = expected @ groups, observed @ groups
        known = expected > 0
        errors = _relative(observed, expected) * (scales * self.inflation)[:, None]
        low, high = np.zeros(known.shape[1]), np.zeros(known.shape[1])
        for windows in _patterns(known):
            alike = (known == windows[:, None]).all(axis=0)
            found = band(errors[windows][:, alike], self._independent(windows), self.level)
            low[alike], high[alike] = found.low, found.high
        # The estimate lies in its interval also where errors are so skewed that the mean does not.
        low, high = -np.hypot(np.minimum(low, 0), self.wider.below), np.hypot(np.maximum(high, 0), self.wider.above)
        low, high = (1 + low) * self.wider.least - 1, (1 + high) * self.wider.most - 1
        # Nothing sells less than nothing.
        return np.maximum(low, -1), high

    def _independent(self, windows: Mask) -> int:
        days = len(np.unique(self.past.day[windows]))
        return min(self.independent, days if self.inflation > 1 else days // self.own_days)


def _relative(observed: Array, expected: Array) -> Array:
    """Relative errors of past windows [window, ...]; none of a window in which nothing is expected."""
    known = expected > 0
    mean = expected.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    errors: Array = np.divide(observed - expected, np.maximum(expected, SMALL * mean), out=np.zeros_like(expected), where=known)
    return errors


def _patterns(known: Mask) -> list[Mask]:
    """Which windows columns have, each pattern once. Most have all of them, a place with a gap of its own has fewer."""
    partly = ~known.all(axis=0)
    every = [] if partly.all() else [np.ones(len(known), dtype=bool)]
    return [*every, *np.unique(known[:, partly], axis=1).T] if partly.any() else every


def _inflation(past: PastWindows) -> float:
    """What brings the spread of windows of several days, which overlap, to one that their days alone vouch for.

    A sum errs by no more than its parts together: its root mean square error is at most the sum of theirs (Minkowski's inequality). Of each day of
    a window there are as many examples as days; of windows that do not overlap only a few.
    """
    errors, expected = past.parts[:, 1] - past.parts[:, 0], past.parts[:, 0].sum(axis=1)
    total = np.maximum(expected, max(SMALL * expected.mean(), 1e-12))
    own = float(((errors.sum(axis=1) / total) ** 2).mean()) ** 0.5
    of_parts = (((errors / total[:, None]) ** 2).mean(axis=0) ** 0.5).sum()
    return max(float(of_parts) / own, 1.0) if own > 0 else 1.0


def _scales(observed: Array, expected: Array, past: PastWindows, kind: int) -> Array:
    """What brings the errors of each past window to the spread of the kind asked about; a kind's own spread leans on all with the weight of three days."""
    errors = _relative(observed, expected)
    overall = float((errors**2).mean()) if len(errors) else 0.0
    if overall <= 0:
        return np.ones(len(errors))
    spread = {}
    for one in {kind, *past.kind.tolist()}:
        of = past.kind == one
        days = len(np.unique(past.day[of]))
        own = float((errors[of] ** 2).mean()) if days else 0.0
        spread[one] = ((days * own + LEANING_DAYS * overall) / (days + LEANING_DAYS)) ** 0.5
    return np.array([spread[kind] / spread[one] for one in past.kind.tolist()])
