"""What was to be expected in a window, asked the same way of the incident and of windows in the past."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from warehouse.analysis.panel import Array, Codes, Mask, Panel
from warehouse.analysis.profiles import LEVEL_HALF_LIFE, LEVEL_REACH, MARKET_SPREAD, Learner, levels
from warehouse.analysis.recovery import Recovery
from warehouse.analysis.shocks import Cells, Known, Shocks
from warehouse.analysis.times import DAY

JITTER = (-60, 0, 60)
WEEK = 7
PERSISTENCE = 0.5
"""How much of a day's deviation from the expected level is still there on the next day."""

DAYS_BEFORE = 21
"""Where so many days lie before a past window, it is learnt from these alone, as the one asked about is; with fewer it would err for want of days."""

MOST_PAST_WINDOWS = 42
WEEK_BEFORE = 0.5
"""What the same hours a week before count from the second day of a window on, where no place can be a control: the level of the day before says little then.

Two forecasts whose errors are not the same are better together; equal weights need not be learnt (Bates and Granger 1969).
"""

SHOCK_REACH = DAY
"""Minutes before a window in which shocks are looked for; as long as they last is learnt."""


@dataclass(frozen=True)
class Situation:
    """Everything an estimate stands on. ``learn`` [day, slot] is history, ``told`` that of one of the places hit at least; ``factor`` multiplies expectations; ``hit`` are the places asked about.

    ``weekly``: a week before may tell, as people excluded no single place. ``recovery``: what buyers may come back after.
    """

    panel: Panel
    learner: Learner
    learn: Mask
    told: Mask
    factor: Array | None
    region: Codes
    hit: Mask
    controls: bool
    gap: int
    shocks: Shocks
    weekly: bool = True
    recovery: Recovery = field(default_factory=lambda: Recovery.of([]))


@dataclass(frozen=True)
class Window:
    """Sums of a window by place: ``expected`` and ``observed``; ``level`` is the factor of the places hit, as one number.

    ``parts`` [expected and observed, day of the window]: of all places hit together, for each 24 hours from the start. ``unsure``: a relative standard
    deviation of their expectation that recoveries in the hours before add.
    """

    expected: Array
    observed: Array
    level: float
    without_controls: Array
    parts: Array
    unsure: float


@dataclass(frozen=True)
class PastWindows:
    """Past windows like the one asked about: ``expected`` and ``observed`` [window, place], the day and its kind, the level and the ``parts`` of each."""

    expected: Array
    observed: Array
    day: Codes
    kind: Codes
    level: Array
    parts: Array

    def where(self, use: Mask) -> "PastWindows":
        """Some of them."""
        return PastWindows(self.expected[use], self.observed[use], self.day[use], self.kind[use], self.level[use], self.parts[use])


def ask(situation: Situation, start: int, end: int) -> Window:
    """The window from ``start`` to ``end`` (local minutes), learnt from every day of the history."""
    return _windows(situation, start, end, (0,), past=False)[0]


def past_windows(situation: Situation, start: int, end: int, jitter: tuple[int, ...]) -> PastWindows:
    """The same hours on past days, each learnt from the other days; shifted by ``jitter`` minutes too.

    Where the newest history is ``gap`` days old, a past day is learnt only from days at least as far away: nearer ones would flatter.
    """
    first, kinds = situation.panel.first_day, situation.learner.kinds
    found: list[tuple[Window, int]] = []
    own_day = start // DAY - first
    nearest = sorted((d for d in np.flatnonzero(situation.told.any(axis=1)) if d != own_day), key=lambda d: abs(d - own_day))[:MOST_PAST_WINDOWS]
    for day in sorted(nearest):
        shift = (int(day) - own_day) * DAY
        found += [(window, int(day)) for window in _windows(situation, start + shift, end + shift, jitter, past=True)]
    places, day_of = len(situation.hit), np.array([day for _, day in found], dtype=np.int64)
    return PastWindows(
        np.array([w.expected for w, _ in found]).reshape(-1, places),
        np.array([w.observed for w, _ in found]).reshape(-1, places),
        day_of,
        kinds[day_of],
        np.array([w.level for w, _ in found]),
        np.array([w.parts for w, _ in found]).reshape(-1, 2, -(-(end - start) // DAY)),
    )


def _windows(situation: Situation, start: int, end: int, jitter: tuple[int, ...], *, past: bool) -> list[Window]:
    """The windows around [start, end) that lie wholly in what is known."""
    panel, first = situation.panel, situation.panel.first_day
    days_known = panel.values.shape[1]
    around = max(abs(j) for j in jitter)
    low, high = max((start - around - max(LEVEL_REACH, SHOCK_REACH)) // DAY - first, 0), (end + around - 1) // DAY - first + 1
    if high > days_known:
        around, high = 0, (end - 1) // DAY - first + 1
    if start < first * DAY or high > days_known:
        return []
    days = np.arange(low, high)
    left_out = _left_out(situation, days, start // DAY - first, (end - 1) // DAY - first, past=past)
    expected = situation.learner.expected(days, left_out).transpose(1, 0, 2)
    if situation.factor is not None:
        expected = expected * situation.factor[:, low:high]
    view = _View(situation, expected.reshape(len(situation.hit), -1), low, high, past=past)
    return [window for j in jitter if abs(j) <= around and (window := view.window(start + j, end + j)) is not None]


def _left_out(situation: Situation, days: Codes, first: int, last: int, *, past: bool) -> Mask:
    every = np.arange(situation.panel.values.shape[1])
    own = (every >= first) & (every <= last)
    left_out: Mask = own | (days[:, None] == every)
    if not past:
        return left_out
    usable = situation.told.any(axis=1)
    if situation.gap > 1:
        distance = np.minimum(np.abs(every - first), np.abs(every - last))
        near = own | (distance < situation.gap)
        if (usable & ~near).sum() >= 3:
            left_out = left_out | near
    # the incident has no days after it: what days on both sides tell would flatter
    if (usable & (every < first)).sum() >= DAYS_BEFORE:
        left_out = left_out | (every > last)
    return left_out


class _View:
    """Some days of a situation with their expected sales, flattened to cells."""

    def __init__(self, situation: Situation, expected: Array, low: int, high: int, *, past: bool) -> None:
        panel = situation.panel
        slots = panel.values.shape[2]
        self.situation, self.expected, self.past = situation, expected, past
        self.sold = panel.values[:, low:high].reshape(len(expected), -1)
        self.seen = (situation.learn if past else panel.seen)[low:high].ravel()
        self.told = situation.told[low:high].ravel()
        self.own_gaps = None if panel.own_gaps is None else panel.own_gaps[:, low:high].reshape(len(expected), -1)
        self.starts, self.low = panel.starts[low * slots : high * slots], low
        self.lengths = np.tile(np.diff(panel.cuts), high - low)
        # what is known of a place only: sums of groups leave its own gaps out
        self.known_expected, self.known_sold = (figure if self.own_gaps is None else figure * ~self.own_gaps for figure in (self.expected, self.sold))
        self._sums: dict[bytes, tuple[Array, Array]] = {}

    def sums(self, group: Mask) -> tuple[Array, Array]:
        """Expected and sold of some places together, in each cell."""
        key = group.tobytes()
        if key not in self._sums:
            weight = group.astype(float)
            self._sums[key] = weight @ self.known_expected, weight @ self.known_sold
        return self._sums[key]

    def between(self, start: int, end: int) -> slice:
        """The cells that begin in [start, end)."""
        low, high = np.searchsorted(self.starts, [start, end])
        return slice(int(low), int(high))

    def window(self, start: int, end: int) -> Window | None:
        """The window from ``start`` to ``end``, or None where its past is not wholly known."""
        inside = self.between(start, end)
        starts = self.starts[inside]
        if not len(starts) or starts[0] != start or (self.past and not self.told[inside].all()):
            return None
        hit, region, noise = self.situation.hit, self.situation.region, self.situation.learner.noise
        factor = self._level(start, region, noise)
        fading = PERSISTENCE ** (starts // DAY - start // DAY)
        # what is asked about is wanted whole, what is learnt from only where it is known
        plain, sold = (self.known_expected[:, inside], self.known_sold[:, inside]) if self.past else (self.expected[:, inside], self.sold[:, inside])
        expected = plain.sum(axis=1) + (factor - 1) * (plain @ fading)
        observed = sold.sum(axis=1)
        if self.past or self.own_gaps is None:
            wanted, sold_by_hit = (figure[inside] for figure in self.sums(hit))
        else:
            wanted, sold_by_hit = plain[hit].sum(axis=0), sold[hit].sum(axis=0)
        total = float(wanted.sum())
        number = (starts - start) // DAY
        ratios, unsure = self._ratios(start, inside, wanted, [hit])
        cells = wanted * ratios
        alone = _scaled(expected, hit, float(cells.sum()))
        level = float(alone[hit].sum() / total) if total > 0 else 1.0
        if not self.situation.controls:
            cells = self._with_week_before(cells, plain[hit], inside, number)
            alone = _scaled(alone, hit, float(cells.sum()))
            return Window(alone, observed, level, alone, np.array([np.bincount(number, cells), np.bincount(number, sold_by_hit)]), unsure)
        fair = ~hit if self.own_gaps is None else ~hit & ~self.own_gaps[:, inside].any(axis=1)
        near = fair & np.isin(region, np.unique(region[hit]))
        together = expected * _controls(expected, observed, region, hit, fair, noise)
        groups = [hit, *(group for group in (near, fair & ~near) if group.any())]
        ratios, unsure = self._ratios(start, inside, wanted, groups)
        cells = wanted * ratios
        parts = np.array([np.bincount(number, cells), np.bincount(number, sold_by_hit)])
        return Window(_scaled(together, hit, float(cells.sum())), observed, level, alone, parts, unsure)

    def _ratios(self, start: int, inside: slice, weight: Array, groups: list[Mask]) -> tuple[Array, float]:
        """How much above its profile the first group is expected in each cell of the window, from the day before and what the others sell in it; and ``Window.unsure``."""
        shocks, panel = self.situation.shocks, self.situation.panel
        slots = panel.values.shape[2]
        day = (self.starts - self.starts[0]) // DAY
        if self.past:
            shocks = shocks.without(np.unique(self.starts[inside] // DAY - panel.first_day))
        cells = Cells(day, np.arange(len(day)) % slots, (self.starts - self.starts[0] + self.lengths / 2) / 60)
        within = np.zeros(len(day), dtype=bool)
        within[inside] = True
        before = np.zeros(len(day), dtype=bool)
        before[self.between(start - SHOCK_REACH, start)] = True
        before &= self.seen
        known = []
        for number, group in enumerate(groups):
            wanted, sold = self.sums(group)
            use = ((before | within) if number else before) & shocks.busy[cells.slot] & (wanted > 0)
            share = np.where(group, self.total, 0) / max(self.total[group].sum(), 1e-12)
            recovery = self.situation.recovery.strays(self.starts[use], self.lengths[use], share)
            known.append(Known(share, cells.where(use), sold[use], wanted[use], recovery))
        return shocks.ratios(known, self.situation.region, cells.where(within), weight, PERSISTENCE)

    def _with_week_before(self, cells: Array, plain: Array, inside: slice, number: Codes) -> Array:
        """What the places hit are expected to sell in each cell, from the second day on told half by what they sold a week before.

        Places that were not there yet then are left as they are, by their share of ``plain`` [place hit, cell].
        """
        panel, factor = self.situation.panel, self.situation.factor
        day, slot = np.divmod(np.arange(inside.start, inside.stop), panel.values.shape[2])
        day += self.low
        then, kinds = np.maximum(day - WEEK, 0), self.situation.learner.kinds
        use = (number > 0) & (day >= WEEK) & self.situation.learn[then, slot] & (kinds[day] == kinds[then])
        # a past window may not be told by days nearer than the history is to the one asked about
        use &= number <= WEEK - self.situation.gap
        if not self.situation.weekly or not use.any():
            return cells
        sold = panel.values[:, then, slot]
        if factor is not None:
            sold = sold * factor[:, day, slot] / factor[:, then, slot]
        sold = sold[self.situation.hit]
        if panel.own_gaps is None:
            before = sold.sum(axis=0)
        else:
            own = panel.own_gaps[self.situation.hit]
            there = ~own[:, then, slot] & ~own[:, day, slot]
            absent = np.divide((plain * ~there).sum(axis=0), plain.sum(axis=0), out=np.zeros(len(cells)), where=plain.sum(axis=0) > 0)
            before = (sold * there).sum(axis=0) + absent * cells
        return np.where(use, (1 - WEEK_BEFORE) * cells + WEEK_BEFORE * before, cells)

    @cached_property
    def total(self) -> Array:
        """What is expected of each place in all cells."""
        found: Array = self.expected.sum(axis=1)
        return found

    def _level(self, start: int, region: Codes, noise: float) -> Array:
        cells = self.between(start - LEVEL_REACH, start)
        # an index for each cell copies what a slice only shows
        before = cells if self.seen[cells].all() else np.arange(cells.start, cells.stop)[self.seen[cells]]
        sold, expected = self.known_sold[:, before], self.known_expected[:, before]
        ago = (start - (self.starts + self.lengths)[before]).astype(float)
        factor = levels(sold, expected, ago, region, noise)
        weight = expected.sum(axis=0) * 0.5 ** (ago / LEVEL_HALF_LIFE)
        same_day = self.starts[before] // DAY == start // DAY
        carried = float((weight * np.where(same_day, 1.0, PERSISTENCE)).sum() / weight.sum()) if weight.sum() > 0 else 0.0
        return 1 + (factor - 1) * carried


def _scaled(expected: Array, hit: Mask, total: float) -> Array:
    """The places' expectations, those of the places hit brought to their common total."""
    now = float(expected[hit].sum())
    return np.where(hit, expected * (total / now), expected) if now > 0 else expected


def _controls(expected: Array, observed: Array, region: Codes, hit: Mask, control: Mask, noise: float) -> Array:
    """What the places that were not hit sold in the same hours over what they were expected to, by region, leaning on all of them."""
    if expected[control].sum() <= 0:
        return np.ones(len(hit))
    every = observed[control].sum() / expected[control].sum()
    strength, regions = noise / MARKET_SPREAD**2, int(region.max()) + 1
    top = np.bincount(region[control], observed[control], regions) + strength * every
    bottom = np.bincount(region[control], expected[control], regions) + strength
    return np.where(hit, (top / np.maximum(bottom, 1e-12))[region], 1.0)
