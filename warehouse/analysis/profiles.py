"""What a day of a kind looks like in each place, from days like it: recent ones weigh more, small places lean on all together."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from warehouse.analysis.panel import Array, Codes, Mask, Panel
from warehouse.analysis.weekdays import Weekdays

HALF_LIFE_DAYS = 7.0
PROFILE_NOISES = 125.0
"""A place's own profile counts as much as the pooled one once its history holds so many times the noise of a sale."""

OTHER_KIND = 0.25
"""What a day of another kind, brought to this kind by the region's ratio of both, counts against one of the same kind."""

MARKET_SPREAD = 0.06
REGION_SPREAD = 0.035
NATION_SPREAD = 0.1
"""How far a level is from the wider one's before today's sales are seen, as a relative standard deviation."""

LEVEL_HALF_LIFE = 90.0
LEVEL_REACH = 540
"""Minutes: how fast the past fades for today's level, and how far it is looked at."""

SHUT = 10.0
"""Where all days of a weekday are silent, two at least, and the others let so many purchases be expected on them, a place is shut on that weekday."""

ROUNDING = 1e-9
"""A difference of two sums that is less than this share of them is nothing."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Learner:
    """Days laid out for weighted means: ``sums`` [day, place x slot] with zeros where ``known`` is not, ``known`` [day, slot or place x slot].

    ``by_weekday``: days of one kind are told apart by their weekday.
    """

    sums: Array
    known: Array
    kinds: Codes
    usable: Mask
    shape: tuple[int, int]
    noise: float
    region: Codes
    half_life: float = HALF_LIFE_DAYS
    by_weekday: bool = False

    @classmethod
    def of(
        cls, panel: Panel, kinds: Codes, learn: Mask, region: Codes | None = None, *, half_life: float = HALF_LIFE_DAYS, by_weekday: bool = False
    ) -> "Learner":
        """From a panel, the kind of each day, what may be learnt from [day, slot], the region of each place (None: all in one), and days after which a day counts half."""
        places, days, slots = panel.values.shape
        known = np.broadcast_to(learn, panel.values.shape) if panel.own_gaps is None else learn & ~panel.own_gaps
        sums = np.ascontiguousarray((panel.values * known).transpose(1, 0, 2)).reshape(days, places * slots)
        counts = learn.astype(float) if panel.own_gaps is None else np.ascontiguousarray(known.transpose(1, 0, 2)).reshape(days, places * slots).astype(float)
        usable: Mask = np.asarray(learn.any(axis=1))
        return cls(
            sums,
            counts,
            kinds,
            usable,
            (places, slots),
            noise_of(sums, counts, kinds, usable, places),
            np.zeros(places, dtype=np.int64) if region is None else region,
            half_life,
            by_weekday,
        )

    def expected(self, days: Codes, left_out: Mask) -> Array:
        """Expected sales [len(days), place, slot] of days (indices), each learnt from the usable days but ``left_out`` [len(days), day]."""
        found = self._of_kind(days, left_out)
        if self.by_weekday:
            found *= self._apart[1].factor(days, left_out)[:, None, None]
        return found

    @property
    def apart(self) -> Array:
        """Expected sales [usable day, place, slot] of the usable days, each learnt from the others."""
        return self._apart[0]

    @cached_property
    def _apart(self) -> tuple[Array, Weekdays]:
        days, slots = np.flatnonzero(self.usable), self.shape[1]
        left_out = days[:, None] == np.arange(len(self.kinds))
        found = self._of_kind(days, left_out)
        sold, due = np.zeros(len(self.kinds)), np.zeros(len(self.kinds))
        if self.by_weekday:
            sold[days] = self.sums[days].sum(axis=1)
            due[days] = np.einsum("dps,dps->d", found, np.broadcast_to(self.known[days].reshape(len(days), -1, slots), found.shape))
        weekdays = Weekdays.of(sold, due, self.kinds, self.noise)
        found *= weekdays.factor(days, left_out)[:, None, None]
        return found, weekdays

    def _of_kind(self, days: Codes, left_out: Mask) -> Array:
        """The same by the kind of day alone.

        A weighted mean of the same kind of day (``half_life`` either way). Its level leans on all days' with the weight of one
        day, its shape on its region's, a region's on all of its kind: shrinkage towards a pooled mean as in James and Stein (1961).
        """
        places, slots = self.shape
        age = np.abs(days[:, None] - np.arange(len(self.kinds)))
        every = 0.5 ** (age / self.half_life) * (self.usable & ~left_out)
        same = every * (self.kinds[days][:, None] == self.kinds)
        both = np.concatenate([same, every])
        sums = (both @ self.sums).reshape(2, len(days), places, slots)
        counts = (both @ self.known).reshape(2, len(days), -1, slots)
        shut = self._shut(days, every > 0)
        if shut.any():
            sums *= ~shut[:, :, None]
        of_all = sums[1] * _over(1.0, counts[1])
        alike = sums[0] * _over(1.0, counts[0])
        weight, squares = same.sum(axis=1), (same**2).sum(axis=1)
        days_alike = np.divide(weight**2, squares, out=np.zeros_like(weight), where=squares > 0)[:, None]
        others = (sums[1] - sums[0]) * _over(1.0, counts[1] - counts[0])
        # a new place has seen one kind of day only, perhaps: what it lacks is told by the places that have both
        had, had_others = counts[0] > 0, counts[1] - counts[0] > ROUNDING * counts[1]
        alike, others = _filled(alike, had, others, had_others, 1.0), _filled(others, had_others, alike, had, 0.0)
        alike, more = self._with_other_kinds(alike, others, weight, every.sum(axis=1) - weight)
        days_alike *= more[:, None]
        volumes, volumes_of_all = alike.sum(axis=2), of_all.sum(axis=2)
        ratio = _over(volumes.sum(axis=1), volumes_of_all.sum(axis=1))[:, None]
        level = (days_alike * volumes + volumes_of_all * ratio) / (days_alike + 1)
        of_region = np.add.reduceat(alike[:, self._order], self._first, axis=1)
        pooled = of_region.sum(axis=1, keepdims=True)
        pooled = _over(pooled, pooled.sum(axis=2, keepdims=True))
        prior = PROFILE_NOISES * self.noise
        if len(self._first) > 1:
            total = of_region.sum(axis=2, keepdims=True)
            volume = total * np.maximum(days_alike, 1)[:, :, None]
            pooled = _over(_over(of_region, total) * volume + prior * pooled, volume + prior)
        volume = level * np.maximum(days_alike, 1)
        # level x (volume x own shape + prior x pooled shape) / (volume + prior)
        alike *= _over(level * volume, (volume + prior) * volumes)[:, :, None]
        alike += pooled[:, self._place] * _over(level * prior, volume + prior)[:, :, None]
        return alike

    def _shut(self, days: Codes, told: Mask) -> Mask:
        """Which places are shut on these days [day, place], by their days of the same weekday among those that they are ``told`` by."""
        of_weekday = told & ((days[:, None] - np.arange(len(self.kinds))) % 7 == 0)
        volume, known = self._daily
        known = known * self._there
        sold, of_all = of_weekday @ volume, told @ volume
        held = of_weekday @ known
        expected = held * _over(of_all, told @ known)
        shut: Mask = (sold <= 0) & (held >= 2) & (expected >= SHUT * self.noise) & (expected > 0)
        return shut

    @cached_property
    def _daily(self) -> tuple[Array, Array]:
        """What each place sold on each day [day, place], and where something is known of it, as 0 and 1."""
        days, (places, slots) = len(self.kinds), self.shape
        known = (self.known.reshape(days, -1, slots) > 0).any(axis=2)
        return self.sums.reshape(days, places, slots).sum(axis=2), np.broadcast_to(known, (days, places)).astype(float)

    @cached_property
    def _there(self) -> Mask:
        """From when on a place can be shut [day, place]: the week of its first sale, as it may have begun with days on which it is."""
        first = np.where((self._daily[0] > 0).any(axis=0), (self._daily[0] > 0).argmax(axis=0), len(self.kinds))
        there: Mask = np.arange(len(self.kinds))[:, None] > first - 7
        return there

    @cached_property
    def _order(self) -> Codes:
        """The places, those of a region together."""
        return np.argsort(self.region, kind="stable")

    @cached_property
    def _first(self) -> Codes:
        """Where in that order each region begins."""
        return np.unique(self.region[self._order], return_index=True)[1].astype(np.int64)

    @cached_property
    def _place(self) -> Codes:
        """The number of each place's region, without gaps."""
        return np.unique(self.region, return_inverse=True)[1].astype(np.int64)

    def _with_other_kinds(self, alike: Array, others: Array, weight: Array, other_weight: Array) -> tuple[Array, Array]:
        """The mean of days alike, told a little by the place's ``others``; and by how much that is more history.

        Place and kind of day multiply: a place's other days times what its region sells on this kind over the other, slot by slot.
        """
        of_region = (np.add.reduceat(figure[:, self._order], self._first, axis=1) for figure in (alike, others))
        ratio = _over(*of_region)
        weights = weight[:, None, None]
        told = np.where((weights > 0) & (ratio > 0), OTHER_KIND * other_weight[:, None, None], 0.0)
        alike *= _over(weights, weights + told, 1.0)[:, self._place]
        others *= _over(told * ratio, weights + told)[:, self._place]
        alike += others
        return alike, 1 + _over(OTHER_KIND * other_weight, weight)


def levels(sold: Array, expected: Array, minutes_before: Array, region: Codes, noise: float) -> Array:
    """Today's level of each place as a factor, from cells [place, cell] that ended ``minutes_before``; 1 where nothing is known.

    Ratios of sold to expected, the last hours first (half-life 1.5 h); a place leans on its region, a region on the nation, the
    nation on 1, each with the precision that its sales have against the noise of a sale (empirical Bayes, gamma-Poisson).
    """
    fading = 0.5 ** (minutes_before / LEVEL_HALF_LIFE)
    sold, expected = sold @ fading, expected @ fading
    nation = (sold.sum() + noise / NATION_SPREAD**2) / (expected.sum() + noise / NATION_SPREAD**2) if noise else 1.0
    strength = noise / REGION_SPREAD**2
    of_region = _over(np.bincount(region, sold) + strength * nation, np.bincount(region, expected) + strength, nation)[region]
    strength = noise / MARKET_SPREAD**2
    return _over(sold + strength * of_region, expected + strength, of_region)


def _filled(figure: Array, known: Mask, other: Array, other_known: Mask, otherwise: float) -> Array:
    """A figure [day, place, slot], where it is not known the other times what it is of the other in the places that know both."""
    if known.all():
        return figure
    both = known & other_known
    ratio = _over((figure * both).sum(axis=1, keepdims=True), (other * both).sum(axis=1, keepdims=True), otherwise)
    filled: Array = np.where(known, figure, other * ratio)
    return filled


def noise_of(sums: Array, known: Array, kinds: Codes, usable: Mask, places: int) -> float:
    """Variance over mean of a place's sales in a slot, pooled over places, slots and kinds of day; the mean where no kind has two days.

    It has the unit of sales: the amount of a typical purchase where purchases are independent.
    """
    spread = mean = 0.0
    for kind in np.unique(kinds[usable]):
        of = usable & (kinds == kind)
        if of.sum() < 2:
            continue
        count = known[of].sum(axis=0)
        count = np.tile(count, places) if count.size < sums.shape[1] else count
        centre = _over(sums[of].sum(axis=0), count)
        weights = known[of] if known.shape[1] == sums.shape[1] else np.tile(known[of], (1, places))
        squares = (((sums[of] - centre) * weights) ** 2).sum(axis=0)
        enough = count >= 2
        spread += float((squares[enough] / (count[enough] - 1) * count[enough]).sum())
        mean += float(sums[of][:, enough].sum())
    if mean > 0:
        return spread / mean
    return float(sums[usable].mean()) if usable.any() else 0.0


def _over(top: Floats | float, bottom: Floats, otherwise: Array | float = 0.0) -> Array:
    """A quotient that is ``otherwise`` where nothing stands below."""
    top, bottom = np.broadcast_arrays(top, bottom)
    quotient: Array = np.divide(top, bottom, out=np.broadcast_to(np.asarray(otherwise, dtype=float), top.shape).copy(), where=bottom > 0)
    return quotient
