"""Counts of attempts as coded rows, and what is expected of a day: what detection is calculated on."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from warehouse.analysis.budget import Drift
from warehouse.analysis.calendar import is_feast, types_of
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.levels import drift_of
from warehouse.analysis.panel import Array, Codes, Mask, Panel, Rows, panel_of, regular_cuts
from warehouse.analysis.profiles import Learner
from warehouse.analysis.tails import with_tails
from warehouse.analysis.times import DAY, UTC_TO_SEOUL, Minutes, date_of, spans_of

SMOOTHED_MINUTES = 15
CELL_SMOOTHED_MINUTES = 61
RHYTHM_HALF_LIFE_DAYS = 28.0
"""How fast past days fade: only their rhythm is wanted, which changes slowly. Levels are followed."""

DRIFT_DAYS = (15, 56)
NEWS_DAYS, OLD_HISTORY = 4, 15.0
"""After so many days without an ordinary one, and on Seollal and Chuseok, alarms for missing sales are raised by so much: the rhythm is another."""

DRIFT_STEPS = 16_128
"""Newest ordinary days from which it is learnt how sales stray: as many as hold so many steps, within these bounds."""

EXPECTED: dict[str, pl.DataType | type[pl.DataType]] = {"minute_at": pl.Datetime("us"), "region": pl.String, "channel": pl.String, "expected": pl.Float64}


@dataclass(frozen=True)
class Cells:
    """Rows of counts: the step's index, codes of their names on each axis, and one array a figure."""

    at: Codes
    axes: dict[str, Codes]
    figures: dict[str, Array]

    def within(self, axis: str, names: int, length: int, figure: str, free: Mask) -> Array:
        """Sums [name, step] of the rows that are ``free``."""
        cell = self.axes[axis][free] * length + self.at[free]
        return np.bincount(cell, self.figures[figure][free], names * length).astype(np.float64, copy=False).reshape(names, length)

    def whole(self, length: int, figure: str, free: Mask) -> Array:
        """Sums [1, step] of the rows that are ``free``."""
        return np.bincount(self.at[free], self.figures[figure][free], length).astype(np.float64, copy=False)[None]


def cells_of(
    frames: dict[str, pl.DataFrame], axes: tuple[str, ...], first: int, last: int, step: int = 1, *, silent: Mapping[str, Iterable[str]] | None = None
) -> tuple[dict[str, list[str]], dict[str, Cells]]:
    """The rows of each frame in the minutes [first, last) with common names on ``axes``; a frame has ``minute_at``, axes and figures, null names read as 'unknown'.

    ``silent``: names that an axis has also where no row has them.

    Raises:
        FrameError: a frame lacks a column.
    """
    inside = {}
    for what, frame in frames.items():
        at = utc_minutes(frame["minute_at"], f"{what}: minute_at")
        keep = (at >= first) & (at < last)
        inside[what] = (frame if keep.all() else frame.filter(pl.Series(keep)), (at[keep] - first) // step)
    names: dict[str, list[str]] = {}
    for axis in axes:
        found = [frame[axis].cast(pl.String).fill_null("unknown").unique() for frame, _ in inside.values() if axis in frame.columns]
        names[axis] = sorted({*(silent or {}).get(axis, ()), *(pl.concat(found).to_list() if found else ())})
    laid = {}
    for what, (frame, at) in inside.items():
        own = [axis for axis in axes if axis in frame.columns]
        coded = {axis: frame[axis].cast(pl.String).fill_null("unknown").cast(pl.Enum(names[axis])).to_physical().to_numpy().astype(np.int64) for axis in own}
        figures = {name: frame[name].cast(pl.Float64).fill_null(0).to_numpy() for name, kind in frame.schema.items() if kind.is_numeric() and name not in axes}
        laid[what] = Cells(at, coded, figures)
    return names, laid


@dataclass(frozen=True)
class Usual:
    """What a day is measured by: ``expected`` (``minute_at``, ``region``, ``channel``, ``expected``) and how ordinary sales stray around it.

    From the history, where issuers and markets are looked at: ``issuers`` (``channel``, ``issuer``, ``approved``) and ``markets``
    (``region``, ``market_id``, ``hour`` in Seoul, ``approved``).
    """

    expected: pl.DataFrame
    drift: Drift
    issuers: pl.DataFrame | None = None
    markets: pl.DataFrame | None = None


def expected_counts(history: pl.DataFrame, day: date, *, exclusions: pl.DataFrame | None = None, calendar: pl.DataFrame | None = None) -> pl.DataFrame:
    """Approved payments to expect in each minute of ``day``, as in ``usual_day``."""
    return usual_day(history, day, exclusions=exclusions, calendar=calendar).expected


def usual_day(
    history: pl.DataFrame, day: date, *, exclusions: pl.DataFrame | None = None, incidents: pl.DataFrame | None = None, calendar: pl.DataFrame | None = None
) -> Usual:
    """Approved payments to expect in each minute of ``day`` (a day in Seoul), by region and channel, from the days before it, and how those strayed.

    ``history``: ``minute_at`` (UTC, naive), ``region``, ``channel``, ``approved``; days of the same kind, recent ones first, small
    cells leaning on the pooled profile, smoothed over 15 minutes. ``exclusions``: ``start``, ``end`` or ``starts_at``, ``ends_at``
    (UTC, naive; a null end is open); ``incidents``, spans like them, are not learnt from either, but tell how far days stray at times.
    Nothing is expected where no ordinary day is known; after days without history alarms are raised.

    Raises:
        FrameError: a column is missing.
    """
    need_columns(history, "history", ("minute_at", "region", "channel", "approved"))
    at = utc_minutes(history["minute_at"], "history: minute_at") + UTC_TO_SEOUL
    own = (day - date(1970, 1, 1)).days
    before = at < own * DAY
    history, at = history.filter(pl.Series(before)), at[before]
    cells = history.select(pl.col("region", "channel").cast(pl.String).fill_null("unknown"))
    known = cells.unique().sort("region", "channel").with_row_index("cell")
    place = cells.join(known, on=["region", "channel"], how="left", maintain_order="left")["cell"].to_numpy().astype(np.int64)
    if not len(known):
        return Usual(pl.DataFrame(schema=EXPECTED), Drift())
    rows = Rows(at, history["approved"].cast(pl.Float64).to_numpy(), {}, {}, 1)
    days = (int(at.min()) // DAY, own + 1)
    gaps: list[tuple[int, int, int | None]] = [
        (low + UTC_TO_SEOUL, high + UTC_TO_SEOUL, None) for low, high, market in spans_of(_naive(exclusions), "exclusions") if market is None
    ]
    panel = panel_of(rows, regular_cuts(1), place, len(known), days, own * DAY, gaps)
    ordinary = panel.seen.copy()
    for low, high, _ in spans_of(_naive(incidents), "incidents"):
        ordinary.reshape(-1)[max(low + UTC_TO_SEOUL - days[0] * DAY, 0) : max(high + UTC_TO_SEOUL - days[0] * DAY, 0)] = False
    if not ordinary.any():
        return Usual(pl.DataFrame(schema=EXPECTED), Drift())
    kinds = np.unique(np.array(types_of([date_of(d) for d in range(*days)], calendar)), return_inverse=True)[1].astype(np.int64)
    count = days[1] - days[0]
    learner = Learner.of(panel, kinds, ordinary, half_life=RHYTHM_HALF_LIFE_DAYS)
    figures = _smoothed(learner.expected(np.array([own - days[0]]), np.zeros((1, count), dtype=bool)))[0]
    midnight = datetime(1970, 1, 1) + timedelta(minutes=own * DAY - UTC_TO_SEOUL)  # noqa: DTZ001 - naive UTC, as in the warehouse
    minute_at = pl.datetime_range(midnight, midnight + timedelta(days=1), "1m", closed="left", eager=True)
    expected = pl.DataFrame(
        {
            "minute_at": pl.concat([minute_at] * len(known)),
            "region": known["region"].gather(np.repeat(np.arange(len(known)), DAY)),
            "channel": known["channel"].gather(np.repeat(np.arange(len(known)), DAY)),
            "expected": figures.ravel(),
        },
        schema=EXPECTED,
    )
    drift = drift_of_days(learner, panel, known["region"].to_list(), _smoothed) or Drift()
    if count - 1 - int(np.flatnonzero(learner.usable)[-1]) > NEWS_DAYS or is_feast(day):
        raised = {name: getattr(drift, name) + OLD_HISTORY for name in ("nation_tail", "part_tail", "day_tail")}
        drift = replace(drift, **raised)
    return Usual(expected, drift)


def utc_minutes(times: pl.Series, what: str) -> Minutes:
    """Minutes since 1970 in UTC of a column of naive UTC or aware times.

    Raises:
        AnalysisError: the column holds no times.
    """
    if not isinstance(times.dtype, pl.Datetime):
        if not len(times):
            return np.empty(0, dtype=np.int64)
        raise AnalysisError(f"{what}: expected datetimes in UTC, got {times.dtype}. Parse them first.")
    return times.dt.epoch("us").to_numpy() // 60_000_000


def drift_of_days(learner: Learner, panel: Panel, groups: list[str], smoothed: Callable[[Array], Array], step: int = 1, *, apart: bool = True) -> Drift | None:
    """How the newest ordinary days strayed around what the days before each let expect, by ``groups`` of places; None where fewer than three are known.

    ``panel.seen`` may hold more than ``learner`` learnt from: what alarms were raised in counts for their tails, or a false alarm
    would be repeated for ever.
    """
    count = len(learner.kinds)
    days = np.array([d for d in np.flatnonzero(learner.usable) if (learner.usable & (learner.kinds == learner.kinds[d]))[:d].any()], dtype=np.int64)
    days = days[-int(np.clip(DRIFT_STEPS // panel.values.shape[2], *DRIFT_DAYS)) :]
    if len(days) < 3:
        return None
    expected = smoothed(learner.expected(days, (np.arange(count) >= days[:, None]))).transpose(1, 0, 2)
    group = np.unique(np.array(groups), return_inverse=True)[1]
    by_group = np.zeros((int(group.max()) + 1, *expected.shape[1:]))
    sold = np.zeros_like(by_group)
    np.add.at(by_group, group, expected)
    np.add.at(sold, group, panel.values[:, days])
    drift = drift_of(sold, by_group, panel.seen[days], step)
    return with_tails(drift, sold, by_group, panel.seen[days], step, apart=apart) if drift else None


def _smoothed(found: Array) -> Array:
    """Smoothed [day, cell, minute]: the whole over 15 minutes, each cell's share of it over an hour."""
    whole = found.sum(axis=1, keepdims=True)
    broad = np.maximum(_moving(whole, CELL_SMOOTHED_MINUTES), 1e-12)
    smoothed: Array = _moving(found, CELL_SMOOTHED_MINUTES) * (_moving(whole, SMOOTHED_MINUTES) / broad)
    return smoothed


def _naive(spans: pl.DataFrame | None) -> pl.DataFrame | None:
    """Aware times become naive UTC ones, which ``spans_of`` reads as they are."""
    if spans is None:
        return None
    aware = [name for name, kind in spans.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone]
    return spans.with_columns(pl.col(aware).dt.convert_time_zone("UTC").dt.replace_time_zone(None)) if aware else spans


def _moving(values: Array, wide: int) -> Array:
    """A centred moving mean along the last axis, shorter at both ends of the day."""
    half = wide // 2
    summed = np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)
    index = np.arange(values.shape[-1])
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, values.shape[-1])
    means: Array = (summed[..., high] - summed[..., low]) / (high - low)
    return means
