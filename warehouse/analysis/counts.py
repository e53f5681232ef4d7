"""Counts of attempts per minute as an array, and what is expected of a day: what detection is calculated on."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from warehouse.analysis.calendar import types_of
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.panel import Array, Rows, panel_of, regular_cuts
from warehouse.analysis.profiles import Learner
from warehouse.analysis.times import DAY, Minutes, date_of, spans_of

UTC_TO_SEOUL = 540
SMOOTHED_MINUTES = 15
CELL_SMOOTHED_MINUTES = 61
_EXPECTED: dict[str, pl.DataType | type[pl.DataType]] = {"minute_at": pl.Datetime("us"), "region": pl.String, "channel": pl.String, "expected": pl.Float64}


@dataclass(frozen=True)
class Cube:
    """Counts [region, channel, minute] from minute ``first`` (UTC, since 1970) on, each figure an array of that shape."""

    regions: list[str]
    channels: list[str]
    first: int
    approved: Array
    declined: Array
    failed: Array
    expected: Array


def cube_of(minutes: pl.DataFrame, expected: pl.DataFrame, first: int, last: int) -> Cube:
    """Lay out both frames over the minutes [first, last); absent rows are zero, minutes outside are left away."""
    need_columns(minutes, "minutes", ("minute_at", "region", "channel", "approved", "declined", "failed"))
    if len(expected) or expected.columns:
        need_columns(expected, "expected", tuple(_EXPECTED))
    parts = [(minutes, utc_minutes(minutes["minute_at"], "minutes: minute_at"))]
    parts += [(expected, utc_minutes(expected["minute_at"], "expected: minute_at"))] if len(expected) else []
    inside = [(frame.filter(pl.Series((at >= first) & (at < last))), at[(at >= first) & (at < last)]) for frame, at in parts]
    names = {
        name: sorted({x for frame, _ in inside for x in frame[name].cast(pl.String).fill_null("unknown").unique().to_list()}) for name in ("region", "channel")
    }
    shape = (len(names["region"]), len(names["channel"]), last - first)

    def laid(frame: pl.DataFrame, at: Minutes, columns: tuple[str, ...]) -> list[Array]:
        cell = np.zeros(len(frame), dtype=np.int64)
        for name in ("region", "channel"):
            code = frame[name].cast(pl.String).fill_null("unknown").cast(pl.Enum(names[name])).to_physical().to_numpy().astype(np.int64)
            cell = cell * len(names[name]) + code
        return [
            np.bincount(cell * shape[2] + at - first, frame[c].cast(pl.Float64).fill_null(0).to_numpy(), int(np.prod(shape)))
            .astype(np.float64, copy=False)
            .reshape(shape)
            for c in columns
        ]

    approved, declined, failed = laid(*inside[0], ("approved", "declined", "failed"))
    wanted = laid(*inside[1], ("expected",))[0] if len(inside) > 1 else np.zeros(shape)
    return Cube(names["region"], names["channel"], first, approved, declined, failed, wanted)


def expected_counts(history: pl.DataFrame, day: date, *, exclusions: pl.DataFrame | None = None, calendar: pl.DataFrame | None = None) -> pl.DataFrame:
    """Approved payments to expect in each minute of ``day`` (a day in Seoul), by region and channel, from the days before it.

    ``history``: ``minute_at`` (UTC, naive), ``region``, ``channel``, ``approved``; days of the same kind, recent ones first, small
    cells leaning on the pooled profile, smoothed over 15 minutes. ``exclusions``: ``start``, ``end`` or ``starts_at``, ``ends_at``
    (UTC, naive; a null end is open). Returns ``minute_at``, ``region``, ``channel``, ``expected``; empty where no ordinary day is known.

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
    if not len(known):
        return pl.DataFrame(schema=_EXPECTED)
    place = cells.join(known, on=["region", "channel"], how="left", maintain_order="left")["cell"].to_numpy().astype(np.int64)
    rows = Rows(at, history["approved"].cast(pl.Float64).fill_null(0).to_numpy(), {}, {}, 1)
    days = (int(at.min()) // DAY, own + 1)
    gaps: list[tuple[int, int, int | None]] = [
        (low + UTC_TO_SEOUL, high + UTC_TO_SEOUL, None) for low, high, market in spans_of(_naive(exclusions), "exclusions") if market is None
    ]
    panel = panel_of(rows, regular_cuts(1), place, len(known), days, own * DAY, gaps)
    if not panel.seen.any():
        return pl.DataFrame(schema=_EXPECTED)
    kinds = np.unique(np.array(types_of([date_of(d) for d in range(*days)], calendar)), return_inverse=True)[1].astype(np.int64)
    target = np.array([own - days[0]])
    found = Learner.of(panel, kinds, panel.seen).expected(target, np.zeros((1, days[1] - days[0]), dtype=bool))[0]
    whole = found.sum(axis=0)
    broad = np.maximum(_moving(whole, CELL_SMOOTHED_MINUTES), 1e-12)
    figures = _moving(found, CELL_SMOOTHED_MINUTES) * (_moving(whole, SMOOTHED_MINUTES) / broad)
    midnight = datetime(1970, 1, 1) + timedelta(minutes=own * DAY - UTC_TO_SEOUL)  # noqa: DTZ001 - naive UTC, as in the warehouse
    minute_at = pl.datetime_range(midnight, midnight + timedelta(days=1), "1m", closed="left", eager=True)
    count = len(known)
    return pl.DataFrame(
        {
            "minute_at": pl.concat([minute_at] * count),
            "region": known["region"].gather(np.repeat(np.arange(count), DAY)),
            "channel": known["channel"].gather(np.repeat(np.arange(count), DAY)),
            "expected": figures.ravel(),
        },
        schema=_EXPECTED,
    )


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
