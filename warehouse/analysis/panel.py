"""Sales as an array of places, days and slots of the day: what every estimate is calculated on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from warehouse.analysis.errors import FrameError, NothingBeforeError, need_columns
from warehouse.analysis.times import DAY, Minutes, minutes_of

AWAY_DAYS = 3
"""So many days without a sale anywhere, one after the other, are no service."""

SHUT_SHARE = 0.25
"""Of a weekday: where so many of its days, two at least, are silent, that is how the place trades."""

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """A sales frame at the door: parallel arrays, one entry a row. ``minute`` is local, ``step`` in minutes."""

    minute: Minutes
    sales: Array
    places: dict[str, Codes]
    names: dict[str, list[str]]
    step: int

    def until(self, minute: int) -> "Rows":
        """Only what started before ``minute``."""
        known = self.minute < minute
        return self if known.all() else Rows(self.minute[known], self.sales[known], {k: v[known] for k, v in self.places.items()}, self.names, self.step)


@dataclass(frozen=True)
class Panel:
    """Sales ``values`` [place, day, slot]; slot k of a day lasts from minute ``cuts[k]`` to ``cuts[k + 1]``.

    ``seen`` [day, slot] is what happened and is ordinary; ``own_gaps`` [place, day, slot] are exclusions of single places.
    """

    values: Array
    seen: Mask
    own_gaps: Mask | None
    first_day: int
    cuts: Minutes

    @property
    def starts(self) -> Minutes:
        """The local minute at which each cell starts, days and slots flattened."""
        days = (self.first_day + np.arange(self.values.shape[1])) * DAY
        return (days[:, None] + self.cuts[:-1]).ravel()

    def known_of(self, places: Mask) -> Mask:
        """Where [day, slot] at least one of some places has no gap of its own."""
        known: Mask = np.ones_like(self.seen) if self.own_gaps is None else np.asarray(~self.own_gaps[places].all(axis=0))
        return known


def rows_of(sales: pl.DataFrame, what: str, groups: tuple[str, ...] = (), step: timedelta | None = None) -> Rows:
    """Check a sales frame: ``at``, ``sales`` and the columns ``groups``, in which null reads as 'unknown'. ``step``: None is found out.

    Raises:
        FrameError: a column is missing, or holds what it may not, such as a time within a step.
    """
    need_columns(sales, what, ("at", "sales", *groups))
    if not sales["sales"].dtype.is_numeric():
        raise FrameError(f"{what}: expected numbers in 'sales', got {sales['sales'].dtype}. Cast the column.")
    amount = sales["sales"].cast(pl.Float64)
    worth = amount.to_numpy()
    # the least and the greatest tell of NaN too, in a fifth of the time of a comparison of each
    if amount.null_count() or not (len(worth) == 0 or (worth.min() >= 0 and worth.max() < np.inf)):
        raise FrameError(f"{what}: expected sales of 0 or more in every row, got nulls, NaN or negative ones. Leave absent rows out; put reversals elsewhere.")
    places, names = {}, {}
    for group in groups:
        places[group], names[group] = _codes(sales[group])
    minute = minutes_of(sales["at"], f"{what}: at", whole=True)
    return Rows(minute, worth, places, names, _step(minute) if step is None else _given(step, minute, what))


def _codes(texts: pl.Series) -> tuple[Codes, list[str]]:
    """Numbers for texts in their order, and the texts; null reads as 'unknown'."""
    category = texts.cast(pl.String).fill_null("unknown").cast(pl.Categorical)
    physical = category.to_physical().to_numpy().astype(np.int64)
    if not len(physical):
        return physical, []
    firsts = np.full(int(physical.max()) + 1, -1, dtype=np.int64)
    firsts[physical[::-1]] = np.arange(len(physical))[::-1]
    used = np.flatnonzero(firsts >= 0)
    found = category.gather(pl.Series(firsts[used])).cast(pl.String).to_list()
    order = np.argsort(np.array(found), kind="stable")
    code = np.empty(len(firsts), dtype=np.int64)
    code[used[order]] = np.arange(len(used))
    return code[physical], [found[index] for index in order]


def panel_of(rows: Rows, cuts: Minutes, place: Codes, places: int, days: tuple[int, int], until: int, gaps: Sequence[tuple[int, int, int | None]]) -> Panel:
    """Sum up ``rows`` by place and slot for the days [first, last); ``gaps`` are (first minute, end, place or None for all).

    Unseen are: before the first row, from ``until`` on, days on which nobody could buy anywhere, and the gaps, also what is a gap of each place by itself.
    """
    first, last = days
    slot_of_minute = np.searchsorted(cuts, np.arange(DAY), side="right") - 1
    slots, count = len(cuts) - 1, last - first
    day = rows.minute // DAY - first
    inside = (day >= 0) & (day < count)
    cell = (place * count + day) * slots + slot_of_minute[rows.minute % DAY]
    values = np.bincount(cell[inside], rows.sales[inside], places * count * slots).astype(np.float64, copy=False).reshape(places, count, slots)
    starts = (first + np.arange(count))[:, None] * DAY + cuts[:-1]
    ends = (first + np.arange(count))[:, None] * DAY + cuts[1:]
    seen = (starts >= (rows.minute.min() if len(rows.minute) else until)) & (ends <= until) & ~_away(values.sum(axis=(0, 2)) <= 0, first)[:, None]
    own = np.zeros(values.shape, dtype=bool) if any(p is not None for _, _, p in gaps) else None
    for low, high, of in gaps:
        touched = (starts < high) & (ends > low)
        if of is None:
            seen &= ~touched
        elif own is not None:
            own[of] |= touched
    if own is not None:
        seen &= ~own.all(axis=0)
    return Panel(values, seen, own, first, cuts)


def _away(silent: Mask, first: int) -> Mask:
    """Which of the silent days, the first of them ``first`` days since 1970, are no days of no sales: long silences, and single ones that are not usual."""
    long = np.zeros(len(silent), dtype=bool)
    for start in range(len(silent) - AWAY_DAYS + 1):
        long[start : start + AWAY_DAYS] |= silent[start : start + AWAY_DAYS].all()
    weekday = (first + np.arange(len(silent))) % 7
    few, of_all = np.bincount(weekday[silent & ~long], minlength=7), np.bincount(weekday[~long], minlength=7)
    usual = (few >= 2) & (few >= SHUT_SHARE * of_all)
    return long | (silent & ~usual[weekday])


def _step(minute: Minutes) -> int:
    """The uniform step: the greatest minutes that every row's time of day is a multiple of."""
    step = int(np.gcd.reduce(np.flatnonzero(np.bincount(minute % DAY)))) if len(minute) else 1
    step = step or DAY
    return step if DAY % step == 0 else int(np.gcd(step, DAY))


def _given(step: timedelta, minute: Minutes, what: str) -> int:
    minutes = step // timedelta(minutes=1)
    if minutes < 1 or DAY % minutes or (minute % minutes).any():
        raise FrameError(f"{what}: expected times that are multiples of the step {step}, which divides a day. Leave the step out to have it found.")
    return minutes


def regular_cuts(step: int) -> Minutes:
    """Slots of equal length."""
    return np.arange(0, DAY + 1, step)


def need_rows(rows: Rows, what: str) -> None:
    """Check that there is anything.

    Raises:
        NothingBeforeError: there is not.
    """
    if not len(rows.minute):
        raise NothingBeforeError(f"{what}: expected sales before as_of, got no rows. Load history, or move as_of.")
