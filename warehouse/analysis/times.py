"""Times at the door: aware ones are converted to Asia/Seoul, naive ones are local; inside, minutes since 1970 by the local clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import polars as pl

from warehouse.analysis.errors import AnalysisError, FrameError

SEOUL = ZoneInfo("Asia/Seoul")
DAY = 1440
UTC_TO_SEOUL = 540
"""Minutes; Korea has no summer time."""
Minutes = npt.NDArray[np.int64]

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
BOUNDS = f"from {EARLIEST:%Y} to {LATEST:%Y}"
"""Times that a person can mean, and how an error says so."""


def can_be_meant(moment: datetime) -> bool:
    """Whether a person can mean the time, a naive one in Seoul; beyond lie slips of the hand, and times that one cannot count on from."""
    return EARLIEST <= (moment if moment.tzinfo else moment.replace(tzinfo=SEOUL)) < LATEST


def local(moment: datetime) -> datetime:
    """A naive time by the clock in Seoul."""
    return moment.astimezone(SEOUL).replace(tzinfo=None) if moment.tzinfo else moment


def aware(frame: pl.DataFrame, zone: str = "UTC") -> pl.DataFrame:
    """The frame with its naive times, which in the warehouse are UTC, as aware ones in ``zone``."""
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone is None]
    return frame.with_columns(pl.col(times).dt.replace_time_zone("UTC").dt.convert_time_zone(zone))


def in_seoul(frame: pl.DataFrame) -> pl.DataFrame:
    """The same in Asia/Seoul."""
    return aware(frame, "Asia/Seoul")


def days_touched(start: datetime, end: datetime) -> list[date]:
    """The days in Seoul that [start, end), both aware, touches, that of its start at least: what ends at midnight has not touched the day that begins then."""
    first, last = (moment.astimezone(SEOUL).date() for moment in (start, max(end - timedelta.resolution, start)))
    return [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]


def minute_of(moment: datetime, what: str) -> int:
    """Minutes from 1970-01-01 00:00 by the local clock to ``moment``; seconds are cut off.

    Raises:
        AnalysisError: it is no datetime.
    """
    if not isinstance(moment, datetime):
        raise AnalysisError(f"{what}: expected a datetime, got {moment!r}. A day starts at datetime(year, month, day).")
    return int((local(moment) - datetime(1970, 1, 1)).total_seconds() // 60)  # noqa: DTZ001 - the local clock


def minutes_of(times: pl.Series, what: str, *, whole: bool = False) -> Minutes:
    """The same for a column of dates or datetimes.

    Raises:
        FrameError: the column holds something else, or nulls, or, where ``whole`` minutes are needed, seconds.
    """
    if times.dtype == pl.Null and not len(times):
        return np.empty(0, dtype=np.int64)
    if times.dtype != pl.Date and not isinstance(times.dtype, pl.Datetime):
        raise FrameError(f"{what}: expected datetimes, got {times.dtype}. Parse them first, e.g. with str.to_datetime().")
    if times.null_count():
        raise FrameError(f"{what}: expected a time in every row, got {times.null_count()} nulls. Drop those rows.")
    times = times.cast(pl.Datetime("us")) if times.dtype == pl.Date else times
    if isinstance(times.dtype, pl.Datetime) and times.dtype.time_zone:
        times = times.dt.convert_time_zone("Asia/Seoul").dt.replace_time_zone(None)
    moments = times.dt.epoch("us").to_numpy()
    minutes = moments // 60_000_000
    if whole and (minutes * 60_000_000 != moments).any():
        column, (frame, _, _) = what.rpartition(" ")[2], what.partition(":")
        raise FrameError(
            f"{frame}: expected whole minutes in {column!r}, got seconds. Sum up by minute first, e.g. group_by(pl.col({column!r}).dt.truncate('1m'))."
        )
    return minutes


def moment_of(minute: int) -> datetime:
    """The naive local time of a minute since 1970."""
    return datetime.fromordinal(719_163 + minute // DAY).replace(hour=minute % DAY // 60, minute=minute % 60)


def date_of(day: int) -> date:
    """The date of a day since 1970."""
    return date.fromordinal(719_163 + day)


def spans_of(spans: pl.DataFrame | None, what: str, first: int = -(2**40), last: int = 2**40) -> list[tuple[int, int, str | None]]:
    """Spans as (first minute, minute after the last, market or None), only those that touch [first, last).

    The columns are ``start`` and ``end``, or ``starts_at`` and ``ends_at`` as in the warehouse; optionally ``market_id``. A null
    end is open.

    Raises:
        FrameError: columns are missing.
        AnalysisError: a span ends before it starts.
    """
    if spans is None or not len(spans):
        return []
    names = ("starts_at", "ends_at") if isinstance(spans, pl.DataFrame) and "starts_at" in spans.columns else ("start", "end")
    if not isinstance(spans, pl.DataFrame) or not set(names) <= set(spans.columns):
        raise FrameError(f"{what}: expected a frame with columns 'start' and 'end', got {getattr(spans, 'columns', type(spans).__name__)}.")
    starts = minutes_of(spans[names[0]], f"{what}: {names[0]}")
    open_end = spans[names[1]].is_null().to_numpy()
    ends = np.full(len(spans), last, dtype=np.int64)
    if not open_end.all():
        # a span that ends within a minute spoils the whole minute
        exact = spans[names[1]].filter(~pl.Series(open_end))
        ends[~open_end] = (
            minutes_of(exact, f"{what}: {names[1]}")
            + (exact.cast(pl.Datetime("us", getattr(exact.dtype, "time_zone", None))).dt.epoch("us") % 60_000_000 > 0).to_numpy()
        )
    if (ends < starts).any():
        row = int(np.argmax(ends < starts))
        raise AnalysisError(f"{what}: expected an end after the start, got {spans.row(row)}. Swap them, or drop the row.")
    markets = spans["market_id"].cast(pl.String).to_list() if "market_id" in spans.columns else [None] * len(spans)
    return [(int(a), int(b), m) for a, b, m in zip(starts, ends, markets, strict=True) if a < last and b > first]
