"""What multiplies a place's sales on known days: market days of a 5-day cycle, and promotions."""

from dataclasses import dataclass
from math import inf

import numpy as np
import polars as pl

from warehouse.analysis.errors import FrameError, need_columns
from warehouse.analysis.panel import Array, Codes, Mask, Panel
from warehouse.analysis.times import DAY, Minutes, date_of, spans_of

ENOUGH_MARKET_DAYS = 10
"""Market days of all markets together that the pooled factor needs."""


@dataclass(frozen=True)
class Promotions:
    """Spans with a known factor, and spans that only can be left out of what is learnt."""

    known: list[tuple[int, int, float]]
    unknown: list[tuple[int, int]]


def promotions_of(promotions: pl.DataFrame | None) -> Promotions:
    """Read promotions: ``start``, ``end`` (or ``starts_at``, ``ends_at``), optionally ``factor`` (> 0; null where unknown).

    Raises:
        FrameError: a factor is not above 0.
    """
    spans = [(low, high) for low, high, _ in spans_of(promotions, "promotions")]
    if promotions is None or "factor" not in promotions.columns:
        return Promotions([], spans)
    if promotions["factor"].dtype != pl.Null and not promotions["factor"].dtype.is_numeric():
        raise FrameError(f"promotions: expected numbers in 'factor', got {promotions['factor'].dtype}. Cast the column; leave unknown ones null.")
    factors = promotions["factor"].cast(pl.Float64).to_list()
    wrong = [factor for factor in factors if factor is not None and not 0 < factor < inf]
    if wrong:
        raise FrameError(f"promotions: expected factors above 0, got {wrong[0]}. Leave unknown ones null.")
    known = [(*span, factor) for span, factor in zip(spans, factors, strict=True) if factor is not None]
    return Promotions(known, [span for span, factor in zip(spans, factors, strict=True) if factor is None])


def market_days(cycles: pl.DataFrame, names: list[str], days: list[int]) -> Mask:
    """Which place has its market day when [place, day]; ``days`` are days since 1970.

    ``cycles``: ``market_id``, ``days``, the last digits of the day of the month as a list or a text such as '2,7'. Null: no cycle.

    Raises:
        FrameError: a column is missing, or something else than last digits came.
    """
    need_columns(cycles, "cycles", ("market_id", "days"))
    place = {name: index for index, name in enumerate(names)}
    last_digit = np.array([date_of(day).day % 10 for day in days])
    held = np.zeros((len(names), len(days)), dtype=bool)
    for market, said in zip(cycles["market_id"].cast(pl.String), cycles["days"], strict=True):
        digits = [] if said is None else said.split(",") if isinstance(said, str) else [said] if isinstance(said, int | float) else list(said)
        if not all(str(digit).strip().isdigit() and 0 <= int(digit) <= 9 for digit in digits):
            raise FrameError(f"cycles: expected last digits such as '2,7' or [2, 7] in 'days', got {said!r} for market {market}.")
        if market in place and digits:
            held[place[market]] |= np.isin(last_digit, [int(digit) for digit in digits])
    return held


def market_day_factor(panel: Panel, kinds: Codes, learn: Mask, held: Mask) -> Array | None:
    """What a market day carries in each slot against another day of its kind, pooled over all markets with a cycle; None if too few were seen.

    Market days begin and end earlier. A slot leans on the whole day's factor with a fiftieth of what a slot sells on average.
    """
    cyclic: Mask = np.asarray(held.any(axis=1) & ~held.all(axis=1))
    known = learn & ~panel.own_gaps if panel.own_gaps is not None else np.broadcast_to(learn, panel.values.shape)
    sold, seen = (panel.values * known)[cyclic], np.asarray(known.all(axis=2))[cyclic]
    on, off = held[cyclic] & seen, ~held[cyclic] & seen
    top, bottom = np.zeros(panel.values.shape[2]), np.zeros(panel.values.shape[2])
    count = 0
    for kind in np.unique(kinds):
        of = kinds == kind
        others = off[:, of].sum(axis=1)
        ordinary = np.einsum("pds,pd->ps", sold[:, of], off[:, of]) / np.maximum(others, 1)[:, None]
        both = on[:, of] & (others > 0)[:, None]
        top += np.einsum("pds,pd->s", sold[:, of], both)
        bottom += both.sum(axis=1) @ ordinary
        count += int(both.sum())
    if count < ENOUGH_MARKET_DAYS or bottom.sum() <= 0 or top.sum() <= 0:
        return None
    lean = float(bottom.mean()) / 50
    found: Array = (top + lean * top.sum() / bottom.sum()) / (bottom + lean)
    return found


def factors(held: Mask | None, factor: Array | None, promotions: Promotions, starts: Minutes, days: int, idle: Mask | None = None) -> Array | None:
    """The known multipliers [place or 1, day, slot] of expected sales, or None where there are none; 0 where a place is ``idle`` [place, day]."""
    slots = len(starts) // days
    found: Array | None = None
    if held is not None and factor is not None:
        found = np.where(held[:, :, None], factor, 1.0)
    if idle is not None and idle.any():
        found = (np.ones((1, days, slots)) if found is None else found) * ~idle[:, :, None]
    if promotions.known:
        found = (1.0 if found is None else found) * promoted_slots(promotions.known, starts).reshape(1, days, slots)
    return found


def promoted_slots(known: list[tuple[int, int, float]], starts: Minutes) -> Array:
    """What the spans [from, to) of ``known`` factor multiply in each slot: the mean over its minutes, as if they were wanted alike.

    ``starts`` are the slots of whole days in order. Where spans overlap their factors are multiplied.
    """
    first = int(starts[0])
    of_minute = np.ones((int(starts[-1]) // DAY + 1) * DAY - first)
    for low, high, factor in known:
        of_minute[max(low - first, 0) : max(high - first, 0)] *= factor
    means: Array = np.add.reduceat(of_minute, starts - first) / _lengths(starts)
    return means


def covered(low: int, high: int, starts: Minutes) -> Array:
    """The share of each slot that lies in [``low``, ``high``)."""
    lengths = _lengths(starts)
    shares: Array = np.clip(np.minimum(starts + lengths, high) - np.maximum(starts, low), 0, None) / lengths
    return shares


def _lengths(starts: Minutes) -> Minutes:
    return np.diff(np.append(starts, (starts[-1] // DAY + 1) * DAY))


def without(values: Array, factor: Array) -> Array:
    """Sales as they would be without what multiplies them; where that is 0, they stay."""
    plain: Array = values / np.where(factor > 0, factor, 1.0)
    return plain
