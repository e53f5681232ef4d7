"""Estimates on what is published, the same for command, demo and pages: an incident's window and what was lost in it."""

from datetime import UTC, datetime, timedelta

import polars as pl

from warehouse.analysis import LossEstimate, estimate_loss
from warehouse.reading import Snapshot

HISTORY = timedelta(days=63)
"""How far back expected sales may learn: a month behind a switch-off of some weeks."""

STEP = timedelta(minutes=10)
"""Sales are taken in steps of this length, and windows are whole steps."""

HOUR = timedelta(hours=1)


def incident_window(snapshot: Snapshot, incident_id: str) -> tuple[datetime, datetime]:
    """Whole steps from the one with the onset to the end; an incident that is still open ends at the last closed minute. Aware, UTC.

    Raises:
        LookupError: there is no such incident.
    """
    found = snapshot.query("incident_by_id", incident_id=incident_id)
    if found.is_empty():
        raise LookupError(f"There is no incident {incident_id!r}. List them with: onnuri incidents")
    row = found.row(0, named=True)
    return window(row["onset_at"].replace(tzinfo=UTC), row["ended_at"].replace(tzinfo=UTC) if row["ended_at"] else None, snapshot.manifest.watermark)


def window(onset_at: datetime, ended_at: datetime | None, watermark: datetime | None) -> tuple[datetime, datetime]:
    """Whole steps that hold [onset_at, ended_at), but nothing that the watermark has not closed. Times aware."""
    start = _floor(onset_at)
    closed = _floor(watermark) if watermark else start
    end = min(_floor(ended_at - timedelta(microseconds=1)) + STEP, closed) if ended_at else closed
    return start, max(start, end)


def loss_between(snapshot: Snapshot, start: datetime, end: datetime, *, scope: str = "nation", scope_name: str = "", level: float = 0.9) -> LossEstimate:
    """Gross shortfall of a scope in [start, end), aware times. ``scope`` is nation, region, channel or market.

    Raises:
        HistoryError: no ordinary day is left to learn from.
        AnalysisError: the span or the level cannot be used.
    """
    within = {"scope": scope, "scope_name": scope_name}
    minutes = STEP // timedelta(minutes=1)
    sales = snapshot.query("sales_by_market_and_step", start=start - HISTORY, end=end, minutes=minutes, fine_hours=_fine_hours(start, end), **within)
    return estimate_loss(_aware(sales), start, end, as_of=end, exclusions=exclusions(snapshot), level=level, step=STEP)


def _fine_hours(start: datetime, end: datetime) -> list[int]:
    """The hours of the day (UTC) that a window, or the same window an hour earlier or later, begins or ends within.

    Elsewhere the method sums up whole hours, so that finer rows would change nothing and cost most of the time.
    """
    edges = [moment.astimezone(UTC) + shift * HOUR for moment in (start, end) for shift in (-1, 0, 1)]
    return sorted({edge.hour for edge in edges if edge.minute or edge.second or edge.microsecond})


def exclusions(snapshot: Snapshot) -> pl.DataFrame:
    """Spans that are no example of ordinary sales, aware."""
    return _aware(snapshot.query("spans_without_normal_sales", now=snapshot.manifest.now))


def _aware(frame: pl.DataFrame) -> pl.DataFrame:
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone is None]
    return frame.with_columns(pl.col(times).dt.replace_time_zone("UTC"))


def _floor(moment: datetime) -> datetime:
    return datetime.fromtimestamp(moment.timestamp() // STEP.total_seconds() * STEP.total_seconds(), UTC)
