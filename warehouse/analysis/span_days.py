"""A span of time laid out by days and minutes: what was tried and failed, when it was up, and what each hour usually wants."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from warehouse.analysis.calendar import types_of
from warehouse.analysis.changes import minute_after_utc, minute_of_utc
from warehouse.analysis.counts import utc_minutes
from warehouse.analysis.panel import Array, Codes, Mask
from warehouse.analysis.resampling import Cells
from warehouse.analysis.times import DAY, UTC_TO_SEOUL, date_of, minute_of

LOADS = 3
"""Classes of load, by thirds of both spans' minutes."""


@dataclass(frozen=True)
class Span:
    """What is known of a span [``start``, ``end``), aware times; frames' times are UTC, naive or aware.

    ``minutes``: ``minute_at``, ``attempts``, ``failed``, ``sales``. ``incidents`` and ``maintenance`` as in ``availability``, with ``detected_at``; of the incidents only the nation's are looked at. ``purchases``: ``first_failure_at``, ``recovered_at``.
    ``waits``: ``minute_at``, ``attempts``, ``wait_ms_p95``. ``notices``: times at which customers were told. ``lost``: what its incidents cost (None: not estimated),
    without ``left_out`` windows of incidents, the shortest, that were not estimated; ``on_launch``: some of it only if demand on a launch went on as before; ``planned_cost``: what announced switch-offs cost.
    """

    name: str
    start: datetime
    end: datetime
    minutes: pl.DataFrame
    incidents: pl.DataFrame
    maintenance: pl.DataFrame
    purchases: pl.DataFrame
    waits: pl.DataFrame
    notices: list[datetime]
    lost: float | None = None
    planned_cost: float | None = None
    left_out: int = 0
    on_launch: bool = False


@dataclass(frozen=True)
class Days:
    """Of each day of a span with attempts or incidents: what was tried and failed outside of incidents, minutes outside of maintenance, and ``demand`` as its kind of hour usually wants.

    ``struck`` [what, incident]: of each time away minutes, demand, attempts and failures; incidents that overlap are one.
    """

    attempts: Array
    failed: Array
    open: Array
    demand: Array
    struck: Array


@dataclass(frozen=True)
class Minutes:
    """A span's minutes by the local clock from the midnight of day ``low`` on [day, minute]: counts, and whether it was up, or in an incident outside of maintenance."""

    low: int
    attempts: Array
    failed: Array
    up: Mask
    gone: Mask

    @property
    def incident(self) -> Codes:
        """The number from 1 on of the incident that each minute, days one after the other, lies in; 0: none."""
        gone = self.gone.ravel()
        found: Codes = np.where(gone, np.cumsum(gone & ~np.append(False, gone[:-1])), 0)
        return found


def laid_out(span: Span) -> Minutes:
    """By the local clock, from its first midnight to its last."""
    first, last = _local(span.start), _local(span.end)
    minute = local_minutes(span.minutes["minute_at"])
    inside = (minute >= first) & (minute < last)
    low, high = first // DAY, -(-last // DAY)
    size = (high - low) * DAY
    attempts, failed = (
        np.bincount(minute[inside] - low * DAY, span.minutes[name].to_numpy()[inside].astype(float), size).reshape(-1, DAY).astype(np.float64)
        for name in ("attempts", "failed")
    )
    away, planned, of_span = np.zeros((3, size), dtype=bool)

    def mark(where: Mask, start: datetime, until: int | None) -> None:
        where[_clip(local_minute(start) - low * DAY, size) : _clip(until - low * DAY if until is not None else size, size)] = True

    for row in span.incidents.filter(pl.col("scope") == "nation").iter_rows(named=True):
        # As in ``availability``, a minute of which a part was away was away.
        mark(away, row["onset_at"], minute_after_utc(row["ended_at"], "time") + UTC_TO_SEOUL if row["ended_at"] else None)
    for row in span.maintenance.iter_rows(named=True):
        if row["announced_at"] < row["starts_at"]:
            mark(planned, row["starts_at"], local_minute(row["ends_at"]) if row["ends_at"] else None)
    of_span[first - low * DAY : last - low * DAY] = True
    return Minutes(low, attempts, failed, (of_span & ~away & ~planned).reshape(-1, DAY), (of_span & away & ~planned).reshape(-1, DAY))


def usual_hours(spans: list[Minutes]) -> Array:
    """What a minute of each hour of the day wants, from the minutes of both spans that were up; where none was, from all."""
    sums, counts, every, minutes = np.zeros(24), np.zeros(24), np.zeros(24), np.zeros(24)
    for span in spans:
        sums += (span.attempts * span.up).reshape(-1, 24, 60).sum(axis=(0, 2))
        counts += span.up.reshape(-1, 24, 60).sum(axis=(0, 2))
        every += span.attempts.reshape(-1, 24, 60).sum(axis=(0, 2))
        minutes += (span.up | span.gone).reshape(-1, 24, 60).sum(axis=(0, 2))
    otherwise = np.divide(every, minutes, out=np.zeros(24), where=minutes > 0)
    found: Array = np.divide(sums, counts, out=otherwise, where=counts > 0)
    return found


def days_of(minutes: Minutes, usual: Array) -> Days:
    """The days on which anything was tried, or was out of reach."""
    known = (minutes.attempts.sum(axis=1) > 0) | minutes.gone.any(axis=1)
    opened, incident = minutes.up | minutes.gone, minutes.incident
    wanted = np.broadcast_to(np.repeat(usual, 60), opened.shape)
    whats = np.ones(opened.shape), wanted, minutes.attempts, minutes.failed
    struck = np.stack([np.bincount(incident, what.ravel(), incident.max(initial=0) + 1)[1:] for what in whats]).astype(np.float64)
    calm = (minutes.attempts * ~minutes.gone, minutes.failed * ~minutes.gone, opened.astype(float), wanted * opened)
    attempts, failed, open_minutes, demand = (what.sum(axis=1)[known] for what in calm)
    return Days(attempts, failed, open_minutes, demand, struck)


def alike(first: Span, second: Span, calendar: pl.DataFrame | None) -> tuple[list[Cells], tuple[float, float]]:
    """Of each span what was tried and failed at kinds of day and loads, with common weights, and the shares of attempts where both have been."""
    loads = np.concatenate([span.minutes["attempts"].to_numpy().astype(float) for span in (first, second)])
    cuts = np.quantile(loads, np.arange(1, LOADS) / LOADS) if len(loads) else np.zeros(LOADS - 1)
    sums = [_by_cell(span, cuts, calendar) for span in (first, second)]
    totals = [calm.sum(axis=0) + struck.sum(axis=0) for calm, _, struck, _ in sums]
    both = (totals[0] > 0) & (totals[1] > 0)
    weights = np.where(both, totals[0] / max(totals[0].sum(), 1) + totals[1] / max(totals[1].sum(), 1), 0.0)
    covered = tuple(float(total[both].sum() / total.sum()) if total.sum() else 0.0 for total in totals)
    return [Cells(*of, weights) for of in sums], (covered[0], covered[1])


def _by_cell(span: Span, cuts: Array, calendar: pl.DataFrame | None) -> tuple[Array, Array, Array, Array]:
    """Attempts and failures [day, cell] outside of incidents, then those [incident, cell] in them; a cell is a kind of day and a class of load."""
    minute = local_minutes(span.minutes["minute_at"])
    attempts, failed = (span.minutes[name].to_numpy().astype(float) for name in ("attempts", "failed"))
    days, day = np.unique(minute // DAY, return_inverse=True)
    types = types_of([date_of(int(n)) for n in days], calendar) if len(days) else []
    kinds = np.array([{"workday": 0, "saturday": 1}.get(kind, 2) for kind in types], dtype=np.int64)
    cell = kinds[day] * LOADS + np.searchsorted(cuts, attempts)
    laid = laid_out(span)
    incident, place = laid.incident, minute - laid.low * DAY
    inside = (place >= 0) & (place < len(incident))
    struck = np.zeros(len(minute), dtype=np.int64)
    struck[inside] = incident[place[inside]]

    def summed(what: Array, row: Codes, rows: int) -> Array:
        return np.bincount(row * 3 * LOADS + cell, what, rows * 3 * LOADS).astype(np.float64).reshape(rows, 3 * LOADS)

    count = int(incident.max(initial=0)) + 1
    calm = tuple(summed(what * (struck == 0), day, len(days)) for what in (attempts, failed))
    away = tuple(summed(what, struck, count)[1:] for what in (attempts, failed))
    return calm[0], calm[1], away[0], away[1]


def _local(moment: datetime) -> int:
    return minute_of(moment, "span")


def local_minute(moment: datetime) -> int:
    """The local minute of a moment that is aware, or naive in UTC."""
    return minute_of_utc(moment, "time") + UTC_TO_SEOUL


def local_minutes(times: pl.Series) -> Codes:
    """The same of a column."""
    return utc_minutes(times, times.name) + UTC_TO_SEOUL


def _clip(minute: int, size: int) -> int:
    return min(max(minute, 0), size)
