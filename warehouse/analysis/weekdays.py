"""What a weekday sells against the other days of its kind, such as Fridays against workdays, as far as past weeks vouch for it."""

from dataclasses import dataclass

import numpy as np

from warehouse.analysis.panel import Array, Codes, Mask

LEAST_WEEKS = 3
"""Days of a weekday that tell it: two alike may be weather, and the variance between weekdays is hardly known then."""

OUTLYING = 3.0
"""Robust standard deviations from its weekday's median at which a day is cut off: a feast or an incident that nobody knows of is no weekday."""

ENOUGH = 25.0
"""Times the noise of a sale that a day must let expect: with less, chance alone moves it by a fifth, and more to one side than to the other."""

MOSTLY = 0.5
"""A day of which less than this share of the usual one is known tells no weekday."""


@dataclass(frozen=True)
class Weekdays:
    """How far each day ``strays`` [day] from what its kind was to sell, relative, and whether it is ``told`` [day]; the variance between weekdays of a kind, and that of a day.

    A random effect of the weekday within its kind (one-way layout, variance components by moments; Searle, Casella, McCulloch 1992, 3.6).
    """

    strays: Array
    told: Mask
    kinds: Codes
    between: float = 0.0
    within: float = 0.0

    @classmethod
    def of(cls, sold: Array, expected: Array, kinds: Codes, noise: float) -> "Weekdays":
        """From what each day [day] sold and was to sell by the other days of its kind, in the same hours, 0 where nothing is known of it; ``noise`` is that of a sale (variance over mean)."""
        told = (expected > 0) & (expected >= ENOUGH * noise)
        told &= expected >= MOSTLY * (float(np.median(expected[told])) if told.any() else 0.0)
        strays = np.divide(sold, expected, out=np.ones_like(sold), where=told) - 1
        weekday = np.arange(len(kinds)) % 7
        groups = []
        for kind in np.unique(kinds):
            alike = [of for n in range(7) if (of := told & (kinds == kind) & (weekday == n)).sum() >= LEAST_WEEKS]
            groups += alike if len(alike) > 1 else []
        if not groups:
            return cls(strays, np.zeros_like(told), kinds)
        told = np.logical_or.reduce(groups)
        middle = np.zeros_like(strays)
        for of in groups:
            middle[of] = np.median(strays[of])
        # 1.4826 medians of the distances are a standard deviation of normal ones
        reach = OUTLYING * 1.4826 * float(np.median(np.abs(strays - middle)[told]))
        strays = middle + np.clip(strays - middle, -reach, reach)
        return cls(strays, told, kinds, *_components(strays, groups, kinds))

    def factor(self, days: Codes, left_out: Mask) -> Array:
        """What multiplies the expectation of each of ``days``, told by the days but ``left_out`` [len(days), day]: the weekday's mean, shrunk by what it has of chance."""
        same = self.told & ~left_out & (self.kinds[days][:, None] == self.kinds) & ((days[:, None] - np.arange(len(self.kinds))) % 7 == 0)
        count = same.sum(axis=1)
        trust = self.between * count / np.maximum(self.between * count + self.within, 1e-300)
        factor: Array = 1 + np.where(count >= LEAST_WEEKS, trust * (same @ self.strays) / np.maximum(count, 1), 0.0)
        return factor


def _components(strays: Array, groups: list[Mask], kinds: Codes) -> tuple[float, float]:
    """The variances between weekdays of a kind, of which there are two at least, and within one."""
    within = sum(float(((strays[of] - strays[of].mean()) ** 2).sum()) for of in groups) / sum(int(of.sum()) - 1 for of in groups)
    squares, freedom, size = 0.0, 0, 0.0
    for kind in {int(kinds[of][0]) for of in groups}:
        alike = [strays[of] for of in groups if kinds[of][0] == kind]
        counts, means = np.array([len(of) for of in alike]), np.array([of.mean() for of in alike])
        squares += float(counts @ (means - counts @ means / counts.sum()) ** 2)
        freedom += len(alike) - 1
        size += float(counts.sum() - counts @ counts / counts.sum())
    return max((squares - freedom * within) / size, 0.0), within
