"""What Seollal and Chuseok do to a window: some weeks of history hold no day like theirs, so that the table ``special_days.FEASTS`` speaks for them.

The table is an assumption. Its factors are divided out of the history and multiplied in, as those of promotions are; its ranges widen the interval, as
far as the day itself has not told its level yet.
"""

from dataclasses import replace
from statistics import NormalDist

import numpy as np
import polars as pl

from warehouse.analysis.effects import Promotions, covered
from warehouse.analysis.panel import Array, Codes, Mask
from warehouse.analysis.special_days import FEAST_DAYS, FEASTS, feast_offset
from warehouse.analysis.times import DAY, date_of
from warehouse.analysis.windows import Situation, Window, ask

NUDGE = 0.01
"""By how much the hours before a window are raised to see how far its expectation follows them."""

TABLE_LEVEL = 0.9
"""What the ranges of the table hold."""

_TABLE = {offset: (factor, low, high) for offset, factor, low, high in FEASTS.iter_rows()}


def touches_feast(first: int, last: int, calendar: pl.DataFrame | None) -> bool:
    """Whether [first, last), local minutes, has a part of a day of the table, which speaks with Korea's own ``calendar`` (None) only."""
    return calendar is None and any(feast_offset(date_of(day)) in FEAST_DAYS for day in range(first // DAY, (last - 1) // DAY + 1))


def feast_days(days: tuple[int, int], calendar: pl.DataFrame | None) -> Mask:
    """Which of the days are Seollal or Chuseok, the eve or the day after: who sells nothing then keeps the feast, and is not closed."""
    return np.array([calendar is None and abs(feast_offset(date_of(day))) <= 1 for day in range(*days)])


def with_feasts(promotions: Promotions, days: tuple[int, int]) -> Promotions:
    """The promotions, and what they leave of each of ``days`` (from, to) that is of a feast as more of known factor.

    Where a promotion's own factor is known, it speaks for its time: it tells what it carries then, feast or not, and is not multiplied with the table's.
    """
    feasts = [
        (low, high, _TABLE[offset][0])
        for day in range(*days)
        if (offset := feast_offset(date_of(day))) in FEAST_DAYS
        for low, high in _left(day * DAY, (day + 1) * DAY, promotions)
    ]
    return replace(promotions, known=[*promotions.known, *feasts])


def _left(low: int, high: int, promotions: Promotions) -> list[tuple[int, int]]:
    """What promotions of known factor leave of [``low``, ``high``)."""
    left = []
    for begin, end, _ in sorted(promotions.known):
        if low < min(begin, high):
            left.append((low, min(begin, high)))
        low = max(low, end)
    return [*left, (low, high)] if low < high else left


def feast_range(situation: Situation, first: int, last: int, found: Window, level: float, promotions: Promotions) -> tuple[float, float]:
    """From which to which multiple of what is expected of [first, last) the feast's days may bring it, with probability ``level``.

    Times of ``promotions`` of known factor follow them and not the table, so that it has no range there.
    The window's first day is told by what was sold on it before, the other days by nothing but places that were not hit: the range has the exponent 1 less
    the elasticity of the expectation to that. Days are added up as if they erred together.
    """
    days = np.arange(first // DAY, (last - 1) // DAY + 1)
    known = np.zeros(len(days))
    known[: None if situation.controls else 1] = _followed(situation, first, last, found)
    normal = NormalDist()
    exponents = (1 - known) * normal.inv_cdf((1 + level) / 2) / normal.inv_cdf((1 + TABLE_LEVEL) / 2)
    least = most = 1.0
    for day, share, exponent in zip(days.tolist(), _shares(situation, days, first, last, promotions), exponents, strict=True):
        factor, low, high = _TABLE.get(feast_offset(date_of(day)), (1.0, 1.0, 1.0))
        least += share * ((low / factor) ** exponent - 1)
        most += share * ((high / factor) ** exponent - 1)
    return float(least), float(most)


def _followed(situation: Situation, first: int, last: int, found: Window) -> float:
    """The elasticity, 0 to 1, of what is expected of the places hit to what their day sold before the window, and the other places until its end."""
    panel, hit = situation.panel, situation.hit
    expected = float(found.expected[hit].sum())
    starts = panel.starts.reshape(panel.seen.shape)
    told = np.broadcast_to((starts >= first // DAY * DAY) & (starts < first), panel.values.shape)
    if situation.controls:
        told = told | (~hit[:, None, None] & (starts >= first) & (starts < last))
    if expected <= 0 or not told.any():
        return 0.0
    nudged = replace(situation, panel=replace(panel, values=np.where(told, panel.values * (1 + NUDGE), panel.values)))
    moved = float(ask(nudged, first, last).expected[hit].sum()) / expected - 1
    return float(np.clip(moved / NUDGE, 0.0, 1.0))


def _shares(situation: Situation, days: Codes, first: int, last: int, promotions: Promotions) -> Array:
    """What each day of the window is expected to sell in it of the whole, outside of promotions of known factor."""
    panel = situation.panel
    index = days - panel.first_day
    expected = situation.learner.expected(index, np.zeros((len(days), panel.values.shape[1]), dtype=bool))
    if situation.factor is not None:
        expected = expected * situation.factor[:, index].transpose(1, 0, 2)
    starts = panel.starts.reshape(panel.seen.shape)[index]
    spans = [span for day in days.tolist() for span in _left(day * DAY, (day + 1) * DAY, promotions)]
    left = sum((covered(low, high, starts.ravel()) for low, high in spans), np.zeros(starts.size)).reshape(starts.shape)
    sums: Array = expected[:, situation.hit].sum(axis=1) * ((starts >= first) & (starts < last))
    shares: Array = (sums * left).sum(axis=1) / sums.sum() if sums.sum() > 0 else left.mean(axis=1) / len(days)
    return shares
