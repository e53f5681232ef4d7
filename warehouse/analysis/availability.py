"""How much of a time the platform was there, with and without the maintenance that was announced."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from warehouse.analysis.changes import minute_after_utc, minute_of_utc
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.scopes import planned_minutes


@dataclass(frozen=True)
class Availability:
    """Minutes of a time, and the shares of it in which the platform was there.

    ``total`` counts announced maintenance as away; ``unplanned`` leaves its minutes out of the time. Both are None where nothing is
    left to measure.
    """

    minutes: int
    planned_minutes: int
    incident_minutes: int
    """Minutes in an incident and outside of announced maintenance."""

    @property
    def total(self) -> float | None:
        """Share of all minutes without maintenance and without an incident."""
        return 1 - (self.planned_minutes + self.incident_minutes) / self.minutes if self.minutes else None

    @property
    def unplanned(self) -> float | None:
        """Share of the minutes outside of announced maintenance that were without an incident."""
        left = self.minutes - self.planned_minutes
        return 1 - self.incident_minutes / left if left else None


def availability(
    incidents: pl.DataFrame, maintenance: pl.DataFrame, start: datetime, end: datetime, *, scope: str = "nation", scope_name: str = ""
) -> Availability:
    """Of the minutes [``start``, ``end``), for the nation or one part of it; times UTC, naive or aware.

    ``incidents``: ``scope``, ``scope_name``, ``onset_at``, ``ended_at`` (null: it goes on), optionally ``merged_into``; those of the scope itself and
    those of the nation count, merged ones do not. ``maintenance``: ``starts_at``, ``ends_at``, ``announced_at``, optionally ``service``: planned
    only if announced before its start, whatever it was called afterwards; the rest is what the incidents say it is.

    Raises:
        FrameError: a column is missing.
        AnalysisError: the time ends before it starts.
    """
    first, last = minute_of_utc(start, "start"), minute_of_utc(end, "end")
    if last < first:
        raise AnalysisError(f"end: expected a time from start on ({start}), got {end}.")
    planned = planned_minutes(maintenance, first, last)
    need_columns(incidents, "incidents", ("scope", "scope_name", "onset_at", "ended_at"))
    mine = incidents.filter((pl.col("scope") == "nation") | ((pl.col("scope") == scope) & (pl.col("scope_name").fill_null("") == scope_name)))
    if "merged_into" in mine.columns:
        mine = mine.filter(pl.col("merged_into").is_null())
    away = np.zeros(last - first, dtype=bool)
    for onset, ended in mine.select("onset_at", "ended_at").iter_rows():
        low = minute_of_utc(onset, "incidents: onset_at") - first
        # a minute that was away for a part of it was away
        high = len(away) if ended is None else minute_after_utc(ended, "incidents: ended_at") - first
        away[max(low, 0) : max(high, 0)] = True
    return Availability(last - first, int(planned.sum()), int((away & ~planned).sum()))
