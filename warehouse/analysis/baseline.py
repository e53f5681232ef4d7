"""Expected sales step by step, with a band: what the live chart draws behind the sales."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl

from warehouse.analysis.asked import level_of
from warehouse.analysis.calendar import types_of
from warehouse.analysis.errors import AnalysisError
from warehouse.analysis.intervals import student
from warehouse.analysis.panel import Array, Codes, Mask, panel_of, regular_cuts, rows_of
from warehouse.analysis.profiles import LEVEL_REACH, Learner, levels
from warehouse.analysis.times import DAY, date_of, minute_of, spans_of
from warehouse.analysis.windows import PERSISTENCE

HISTORY_DAYS = 63
SMOOTHED_MINUTES = 30
"""Profiles and bands are smoothed over so many minutes: a payment more or less in a minute is no feature of the day."""


def expected_sales(
    history: pl.DataFrame,
    start: datetime,
    end: datetime,
    *,
    calendar: pl.DataFrame | None = None,
    as_of: datetime,
    exclusions: pl.DataFrame | None = None,
    level: float = 0.9,
    step: timedelta = timedelta(minutes=5),
) -> pl.DataFrame:
    """What to expect in each step from ``start`` to ``end``, from days of the same kind and the hours before ``as_of``.

    ``history``: ``at``, ``sales`` and optionally ``region``, ``channel``, ``market_id``: each combination is a series of its own,
    and small ones lean on the pooled profile. Days without any sale and ``exclusions`` (``start``, ``end``) are not history; absent
    rows within other days are zero. Returns the groups, ``at`` (as in ``history``), ``expected``, ``low``, ``high`` in the unit of
    the sales per step. ``low`` to ``high`` holds the sales of *one step* with probability ``level``; never add such bands up.
    Empty where there is no ordinary day to learn from.

    Raises:
        FrameError: a column is missing or holds what it may not.
        AnalysisError: the window, the step, the calendar or the level cannot be used.
    """
    level = level_of(level)
    groups = tuple(column for column in ("region", "channel", "market_id") if isinstance(history, pl.DataFrame) and column in history.columns)
    minutes = int(step.total_seconds() // 60)
    if minutes < 1 or DAY % minutes or step != timedelta(minutes=minutes):
        raise AnalysisError(f"step: expected minutes that divide a day, got {step}. Take 1, 5, 10, 15, 30 or 60 minutes.")
    first, last, known_until = minute_of(start, "start"), minute_of(end, "end"), minute_of(as_of, "as_of")
    if last <= first or last - first > 31 * DAY:
        raise AnalysisError(f"end: expected a time up to 31 days after the start {start}, got {end}.")
    rows = rows_of(history, "history", groups).until(known_until)
    first, last = first // minutes * minutes, -(-last // minutes) * minutes
    empty = _frame(history, groups, [], np.empty((0, 0, 3)), np.empty(0, dtype=np.int64))
    if not len(rows.minute):
        return empty
    place, names = _places(rows.places, rows.names, groups, len(rows.minute))
    days = (max(int(rows.minute.min()), min(first, known_until) - HISTORY_DAYS * DAY) // DAY, max(last - 1, known_until) // DAY + 1)
    spans = [(low, high, None) for low, high, market in spans_of(exclusions, "exclusions") if market is None]
    panel = panel_of(rows, regular_cuts(minutes), place, len(names), days, known_until, spans)
    kinds = np.unique(np.array(types_of([date_of(day) for day in range(*days)], calendar)), return_inverse=True)[1].astype(np.int64)
    today = np.arange(*days) >= known_until // DAY
    learn = panel.seen & ~today[:, None]
    if not learn.any():
        return empty
    learner = Learner.of(panel, kinds, learn, by_weekday=True)
    wide = max(SMOOTHED_MINUTES // minutes, 1)
    asked = np.arange(first // DAY - days[0], (last - 1) // DAY - days[0] + 1)
    past = np.flatnonzero(learn.any(axis=1))
    wanted = np.unique(np.concatenate([asked[asked >= 0], past, [max(known_until // DAY - days[0] - 1, 0), known_until // DAY - days[0]]]))
    expected = _smooth(learner.expected(wanted, wanted[:, None] == np.arange(len(kinds))), wide)
    of_day = {int(day): index for index, day in enumerate(wanted)}
    factors, errors = [], []
    noise = _noise(panel.values[:, past], expected[[of_day[int(day)] for day in past]].transpose(1, 0, 2), learn[past])
    region = np.zeros(len(names), dtype=np.int64)
    for day in [known_until // DAY - days[0], *past]:
        factor = _level(
            panel.values,
            panel.seen if day >= known_until // DAY - days[0] else learn,
            expected,
            of_day,
            int(day),
            known_until % DAY,
            minutes,
            region,
            noise,
        )
        factors.append(factor)
        if day in past and day < known_until // DAY - days[0]:
            errors.append(np.where(learn[day], panel.values[:, day] - expected[of_day[int(day)]] * factor[:, None], np.nan))
    spread = _spread(np.array(errors), wide, learner.noise, expected[[of_day[int(day)] for day in past]].mean(axis=0))
    half = student(1 - (1 - level) / 2, max(len(errors) - 1, 2)) * spread * np.sqrt(1 + 1 / len(errors))
    cells = np.arange(first, last, minutes)
    cells = cells[cells // DAY - days[0] >= 0]
    ahead = np.maximum(cells // DAY - known_until // DAY, 0)
    factor = 1 + (factors[0] - 1)[:, None] * PERSISTENCE**ahead
    slot = cells % DAY // minutes
    mean = expected[np.searchsorted(wanted, cells // DAY - days[0]), :, slot].T * factor
    # a level beyond the ordinary widens the band with it
    band = half[:, slot] * np.maximum(factor, 1)
    return _frame(history, groups, names, np.stack([mean, np.maximum(mean - band, 0), mean + band], axis=2), cells)


def _places(places: dict[str, Codes], names: dict[str, list[str]], groups: tuple[str, ...], count: int) -> tuple[Codes, list[tuple[str, ...]]]:
    """Each combination of the groups that occurs, as one place."""
    code = np.zeros(count, dtype=np.int64)
    for group in groups:
        code = code * len(names[group]) + places[group]
    found, place = np.unique(code, return_inverse=True)
    combinations = []
    for whole in found:
        parts: list[str] = []
        rest = int(whole)
        for group in reversed(groups):
            rest, index = divmod(rest, len(names[group]))
            parts.append(names[group][index])
        combinations.append(tuple(reversed(parts)))
    return place.astype(np.int64), combinations


def _level(values: Array, seen: Mask, expected: Array, of_day: dict[int, int], day: int, minute: int, step: int, region: Codes, noise: float) -> Array:
    """The level at ``minute`` of ``day`` [place], from the day and night before; what is left of yesterday's counts half."""
    slots = values.shape[2]
    slot = minute // step
    sold, wanted, ago, carried = [], [], [], []
    for back, low, high in ((0, 0, slot), (1, slot, slots)):
        if day - back in of_day and day - back >= 0:
            known = seen[day - back, low:high]
            sold.append(values[:, day - back, low:high] * known)
            wanted.append(expected[of_day[day - back], :, low:high] * known)
            ago.append((slot + back * slots - 1 - np.arange(low, high)) * float(step))
            carried.append(np.full(high - low, 1.0 if back == 0 else PERSISTENCE))
    sold_all, wanted_all, before, kept = np.concatenate(sold, axis=1), np.concatenate(wanted, axis=1), np.concatenate(ago), np.concatenate(carried)
    near = before < LEVEL_REACH
    sold_all, wanted_all, before, kept = sold_all[:, near], wanted_all[:, near], before[near], kept[near]
    weight = wanted_all.sum(axis=0) * 0.5 ** (before / 90.0)
    share = float((weight * kept).sum() / weight.sum()) if weight.sum() > 0 else 0.0
    return 1 + (levels(sold_all, wanted_all, before, region, noise) - 1) * share


def _noise(sold: Array, expected: Array, seen: Mask) -> float:
    """Variance over mean of single steps, from differences of neighbouring steps [place, day, slot]; ``seen`` is [day, slot].

    The level of a day strays slowly and falls out of the differences. Taken for noise, as it is where one series is all there is, it would keep a
    level from being followed that the morning shows plainly.
    """
    both = seen[:, 1:] & seen[:, :-1]
    apart = np.diff(sold - expected, axis=2) * both
    mean = float(((expected[:, :, 1:] + expected[:, :, :-1]) * both).sum())
    return float((apart**2).sum()) / mean if mean > 0 else 0.0


def _spread(errors: Array, wide: int, noise: float, usual: Array) -> Array:
    """The standard deviation of a step's sales [place, slot], from past days and neighbouring steps, never below the noise of single sales."""
    known = np.isfinite(errors)
    count = _smooth(known.sum(axis=0).astype(float), wide)
    square = _smooth((np.nan_to_num(errors) ** 2).sum(axis=0), wide)
    own = np.divide(square, count, out=np.zeros_like(square), where=count > 0)
    return np.sqrt(np.maximum(own, 0.25 * noise * usual))


def _smooth(values: Array, wide: int) -> Array:
    """A centred moving mean of ``2 x (wide // 2) + 1`` slots along the last axis, around midnight."""
    half = wide // 2
    if half == 0 or values.shape[-1] < 2 * half + 1:
        return values
    padded = np.concatenate([values[..., -half:], values, values[..., :half]], axis=-1)
    summed = np.concatenate([np.zeros((*padded.shape[:-1], 1)), np.cumsum(padded, axis=-1)], axis=-1)
    means: Array = (summed[..., 2 * half + 1 :] - summed[..., : -2 * half - 1]) / (2 * half + 1)
    return means


def _frame(history: pl.DataFrame, groups: tuple[str, ...], names: list[tuple[str, ...]], figures: Array, cells: Codes) -> pl.DataFrame:
    kind = history["at"].dtype
    at = pl.Series("at", np.tile(cells, len(names)) * 60_000_000, dtype=pl.Int64).cast(pl.Datetime("us"))
    if isinstance(kind, pl.Datetime) and kind.time_zone:
        at = at.dt.replace_time_zone("Asia/Seoul")
    labels = [pl.Series(group, [name[index] for name in names for _ in cells], dtype=pl.String) for index, group in enumerate(groups)]
    flat = figures.reshape(-1, 3)
    return pl.DataFrame([*labels, at, *(pl.Series(name, flat[:, index]) for index, name in enumerate(("expected", "low", "high")))])
