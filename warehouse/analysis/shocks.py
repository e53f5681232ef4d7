"""What moves many places at once: shocks of the nation, of regions, of markets, estimated from past days, and what today's tell of the next hours.

Best linear unbiased prediction (Henderson 1975; in geostatistics kriging, Matheron 1963) with variance components fitted to the
history by Gaussian likelihood on a small grid. Nothing is tuned: a place, a region, a nation whose days stray more leans on today more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np

from warehouse.analysis.panel import Array, Codes, Mask
from warehouse.analysis.profiles import Learner

DAY_SHARES, MEMORIES = (0.02, 0.1, 0.25, 0.5, 0.75), (1.5, 3.0, 6.0, 12.0)
WHITES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
EMPIRICAL = 0.5
"""Half of the nation's covariance is the one seen, half the smooth one: shrinkage towards a target as in Ledoit and Wolf (2004)."""

PRIOR_DAYS = 2
PRIOR_VARIANCE = 0.01
QUIET = 0.1
"""Slots that sell less than this share of the mean rate say nothing about shocks."""

UNSEEN = 3.0
"""A level further from 1 than this many standard deviations is none of the usual shocks: it is taken to last."""


@dataclass(frozen=True)
class Kernel:
    """A shock's variances: of the ``day``, of a ``drift`` that fades with ``memory`` hours, ``white`` [slot] of a slot alone; ``seen`` [slot, slot], if any."""

    day: float
    drift: float
    memory: float
    white: Array
    seen: Array | None = None

    def between(self, one: "Cells", other: "Cells", persistence: float) -> Array:
        """The covariance of shocks at the cells of ``one`` and of ``other``."""
        faded = persistence ** np.abs(one.day[:, None] - other.day)
        apart = np.abs(one.hour[:, None] - other.hour)
        smooth = self.day * faded + self.drift * np.exp(-apart / self.memory)
        if self.seen is not None:
            lean = np.where(np.diag(self.seen) > 0, EMPIRICAL, 0.0)
            keep = np.sqrt(1 - lean)
            found = self.seen[np.ix_(one.slot, other.slot)] * faded
            smooth = keep[one.slot][:, None] * smooth * keep[other.slot] + EMPIRICAL * found
        covariance: Array = smooth + np.where(apart == 0, self.white[one.slot][:, None], 0.0)
        return covariance


@dataclass(frozen=True)
class Cells:
    """Cells in time, parallel: day and slot (indices), and the hour of their middle since the first day."""

    day: Codes
    slot: Codes
    hour: Array

    def where(self, mask: Mask) -> "Cells":
        """Some of them."""
        return Cells(self.day[mask], self.slot[mask], self.hour[mask])


@dataclass(frozen=True)
class Known:
    """What is known of a group of places, of which each is a ``share`` [place].

    Parallel: cells, what was ``sold`` and expected in them, and how far a ``recovery`` may lift them, as a relative standard deviation.
    """

    share: Array
    cells: Cells
    sold: Array
    wanted: Array
    recovery: Array


@dataclass(frozen=True)
class Shocks:
    """The three levels' kernels, and the ``noise`` of a sale (variance over mean)."""

    nation: Kernel
    region: Kernel
    market: Kernel
    noise: float
    busy: Mask
    fits: "Fits | None" = None

    def without(self, days: Iterable[int]) -> "Shocks":
        """The same from the other days: a past window must not be told by a covariance that holds its own errors."""
        return self if self.fits is None else self.fits.shocks(frozenset(int(day) for day in days)) or self

    @classmethod
    def of(cls, learner: Learner, region: Codes, cuts: Codes) -> "Shocks":
        """From the errors of each usable day, expected from the other days. ``cuts``: minutes of the day at which slots begin, and the end."""
        days = np.flatnonzero(learner.usable)
        places, slots = learner.shape
        middle = (cuts[:-1] + cuts[1:]) / 120
        if len(days) < 3:
            return _prior(learner, slots)
        known = learner.known[days].reshape(len(days), -1, slots)
        wanted, sold = learner.apart * known, learner.sums[days].reshape(len(days), places, slots)
        rate = wanted.sum(axis=(0, 1)) / np.diff(cuts)
        busy: Mask = rate >= QUIET * wanted.sum() / (1440 * 1.0)
        if not busy.any() or wanted.sum() <= 0:
            return _prior(learner, slots)
        of_region = np.eye(int(region.max()) + 1)[region]
        sold_region, wanted_region = (of_region.T @ figure for figure in (sold, wanted))
        sold_all, wanted_all = sold.sum(axis=1, keepdims=True), wanted.sum(axis=1, keepdims=True)
        ratio_all, ratio_region = _ratio(sold_all, wanted_all), _ratio(sold_region, wanted_region)
        fits = Fits(
            tuple(days.tolist()),
            Fit(sold_all - wanted_all, wanted_all, busy, middle, keep=True),
            Fit(sold_region - wanted_region * ratio_all, wanted_region, busy, middle),
            Fit(sold - wanted * ratio_region[:, region], wanted, busy, middle),
            busy,
            # one market is no sample of markets: its chance is that of its sales
            None if places > int(region.max()) + 1 else learner.noise,
        )
        return fits.shocks(frozenset()) or _prior(learner, slots)

    def ratios(self, known: list[Known], region: Codes, asked: Cells, weight: Array, persistence: float) -> tuple[Array, float]:
        """The expected ratio to its size of the first group in each asked cell, at least 0; and how much more uncertain recoveries make their mean by ``weight``.

        The groups are disjoint. What is known of them may hold one recovery, whose size is estimated with all else: a random effect with a standard deviation of
        its own in each cell. The uncertainty is a relative standard deviation.
        """
        share = np.array([k.share for k in known])
        of_region = share @ np.eye(int(region.max()) + 1)[region]
        regional, own = of_region @ of_region.T, (share**2).sum(axis=1)
        sold, wanted, recovery = (np.concatenate([getattr(k, name) for k in known]) for name in ("sold", "wanted", "recovery"))
        if not len(sold):
            return np.ones(len(asked.slot)), 0.0
        cells = Cells(*(np.concatenate([getattr(k.cells, name) for k in known]) for name in ("day", "slot", "hour")))
        group = np.repeat(np.arange(len(known)), [len(k.sold) for k in known])
        strays = sold / wanted - 1
        today = int(asked.day.min())
        new = (group == 0) & (cells.day == today)
        lasting = self._lasting(strays[new], wanted[new], recovery[new])

        def covariance(one: Cells, of: Codes) -> Array:
            same = of[:, None] == group
            found: Array = (
                self.nation.between(one, cells, persistence)
                + lasting * ((one.day[:, None] >= today) & (cells.day >= today)) * persistence ** np.abs(one.day[:, None] - cells.day)
                + regional[np.ix_(of, group)] * self.region.between(one, cells, persistence)
                + own[of][:, None] * same * self.market.between(one, cells, persistence)
            )
            return found

        among = covariance(cells, group) + np.diag(self.noise / wanted + 1e-9)
        ahead = covariance(asked, np.zeros(len(asked.slot), dtype=np.int64))
        plain, back = np.linalg.solve(among, np.stack([strays, recovery], axis=1)).T
        # the inverse of a matrix with a product of one vector added (Sherman and Morrison 1950)
        told = 1 / (1 + recovery @ back)
        ratios: Array = np.maximum(1 + ahead @ (plain - back * (recovery @ plain) * told), 0.0)
        return ratios, abs(float(weight @ ahead @ back)) * float(told) ** 0.5 / max(float(weight.sum()), 1e-12)

    def _lasting(self, found: Array, wanted: Array, recovery: Array) -> float:
        """The variance of a level that is none of the usual shocks, 0 where today's is one of them."""
        if not len(found):
            return 0.0
        level = float(found @ wanted / wanted.sum())
        usual = sum(kernel.day + kernel.drift for kernel in (self.nation, self.region, self.market)) + self.noise / wanted.sum()
        usual += float(recovery @ wanted / wanted.sum()) ** 2
        return level**2 if level**2 > UNSEEN**2 * usual else 0.0


def _prior(learner: Learner, slots: int) -> Shocks:
    none = Kernel(0.0, 0.0, 1.0, np.zeros(slots))
    return Shocks(Kernel(PRIOR_VARIANCE / 2, PRIOR_VARIANCE / 2, 6.0, np.zeros(slots)), none, none, learner.noise, np.ones(slots, dtype=bool))


class Fit:
    """The errors [day, series, slot] of series, weighted by volume, as sums by day, so that a kernel can be fitted to any of the days."""

    def __init__(self, errors: Array, wanted: Array, busy: Mask, middle: Array, *, keep: bool = False) -> None:
        root = np.sqrt(np.maximum(wanted[:, :, busy], 0))
        scaled = np.divide(errors[:, :, busy], root, out=np.zeros_like(root), where=root > 0)
        self.products, self.weights = scaled.transpose(0, 2, 1) @ scaled, root.transpose(0, 2, 1) @ root
        self.chance = (root > 0).sum(axis=(0, 1)) / np.maximum((root**2).sum(axis=(0, 1)), 1e-12)
        self.busy, self.keep = busy, keep
        apart = np.abs(middle[busy][:, None] - middle[busy])
        self.grid = list(product(DAY_SHARES, MEMORIES, WHITES))
        share, memory, white = (np.array(column)[:, None, None] for column in zip(*self.grid, strict=True))
        tried = share + (1 - share) * np.exp(-apart / memory) + white * np.diag(self.chance / self.chance.mean())
        self.inverse, self.determinant = np.linalg.inv(tried), np.linalg.slogdet(tried)[1]

    def kernel(self, use: Mask) -> tuple[Kernel, float]:
        """The kernel that makes the errors of some days likeliest; and the noise over mean in it."""
        slots = len(self.busy)
        seen = self.products[use].sum(axis=0) / np.maximum(self.weights[use].sum(axis=0), 1e-12)
        if np.trace(seen) <= 1e-9 * len(seen):
            return Kernel(0.0, 0.0, 1.0, np.zeros(slots)), 0.0
        scale = np.tensordot(self.inverse, seen, 2) / len(seen)
        best = int(np.argmin(np.log(np.maximum(scale, 1e-30)) + self.determinant / len(seen)))
        variance, (of_day, hours, alone) = float(scale[best]), self.grid[best]
        noise = variance * alone / float(self.chance.mean())
        whites = np.zeros(slots)
        whites[self.busy] = noise * self.chance
        whole = None
        if self.keep:
            whole = np.zeros((slots, slots))
            whole[np.ix_(self.busy, self.busy)] = seen
        return Kernel(variance * of_day, variance * (1 - of_day), hours, whites, whole), noise


@dataclass
class Fits:
    """What the three levels' kernels are fitted to, by ``days``; ``noise`` where it does not come from the markets."""

    days: tuple[int, ...]
    nation: Fit
    region: Fit
    market: Fit
    busy: Mask
    noise: float | None
    known: dict[frozenset[int], Shocks | None] = field(default_factory=dict)

    def shocks(self, left_out: frozenset[int]) -> Shocks | None:
        """The shocks of the days but some; None where fewer than three are left."""
        left_out &= frozenset(self.days)
        if left_out not in self.known:
            self.known[left_out] = self._shocks(left_out)
        return self.known[left_out]

    def _shocks(self, left_out: frozenset[int]) -> Shocks | None:
        use = np.array([day not in left_out for day in self.days])
        if use.sum() < 3:
            return None
        (nation, _), (region, _), (market, noise) = (fit.kernel(use) for fit in (self.nation, self.region, self.market))
        trust = float(use.sum() / (use.sum() + PRIOR_DAYS))
        nation = replace(
            nation,
            day=trust * nation.day + (1 - trust) * PRIOR_VARIANCE / 2,
            drift=trust * nation.drift + (1 - trust) * PRIOR_VARIANCE / 2,
        )
        market = replace(market, white=np.zeros(len(self.busy)))
        return Shocks(nation, region, market, noise if self.noise is None else self.noise, self.busy, self)


def _ratio(sold: Array, wanted: Array) -> Array:
    return np.divide(sold, wanted, out=np.ones_like(sold), where=wanted > 0)
