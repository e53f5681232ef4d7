"""Incidents, online: what opens, goes on and closes when minutes close. At a minute, only data up to it is used.

A state machine that jumps from change to change: between two changes every minute is tested at once. The state is the rows of
the open incidents and nothing else, so that it does not matter how a time is cut into calls.
"""

from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from warehouse.analysis.changes import CHANGES, Open, minute_of_utc, read_open
from warehouse.analysis.counts import cube_of
from warehouse.analysis.errors import AnalysisError
from warehouse.analysis.evidence import LOOKBACK, Evidence, evidence
from warehouse.analysis.lasting import closing, seen
from warehouse.analysis.opening import opened
from warehouse.analysis.scopes import Scopes, planned_minutes

BLOCK = 720
"""Minutes that are looked at together while an incident is open."""


def detect(
    minutes: pl.DataFrame,
    expected: pl.DataFrame,
    open_incidents: pl.DataFrame,
    *,
    since: datetime,
    until: datetime,
    maintenance: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """What changes in the minutes [``since``, ``until``); times are UTC, naive or aware.

    ``minutes``: ``minute_at``, ``region``, ``channel``, ``approved``, ``declined``, ``failed`` from an hour before ``since`` on;
    absent rows are zero. ``expected``: ``minute_at``, ``region``, ``channel``, ``expected`` approvals (``expected_counts``); where it
    is absent, missing sales are not looked for. ``open_incidents``: the rows that an earlier call left open. ``maintenance``:
    ``starts_at``, ``ends_at``, ``announced_at``, optionally ``service``; what was announced before its start and concerns payments (or
    everything: null) suppresses, the rest does not.

    Returns one row a change, in order: ``incident_id``, ``action`` (``opened``, ``updated``, ``closed``), ``kind`` (``failure_rate``,
    ``missing_sales``), ``scope`` (``nation``, ``region``, ``channel``), ``scope_name``, ``onset_at`` (estimated backwards), ``detected_at``,
    ``last_seen_at``, ``ended_at``, ``peak_failure_rate`` and ``evidence`` (JSON text). While the nation has an incident its parts get
    none; where one part explains the nation, the part gets it.

    Raises:
        FrameError: a frame lacks a column.
        AnalysisError: the range cannot be used.
    """
    first, last = minute_of_utc(since, "since"), minute_of_utc(until, "until")
    if last < first:
        raise AnalysisError(f"until: expected a time from since on ({since}), got {until}.")
    known = read_open(open_incidents)
    if last == first:
        return pl.DataFrame(schema=CHANGES)
    cube = cube_of(minutes, expected, first - LOOKBACK, last)
    rows = _Watch(Scopes(cube, planned_minutes(maintenance, first - LOOKBACK, last))).run(known, last)
    return pl.DataFrame(rows, schema=CHANGES, orient="row")


class _Watch:
    """One call: the walk over its counts."""

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes
        self.undisturbed: Evidence | None = None

    def run(self, known: list[Open], last: int) -> list[dict[str, Any]]:
        """Walk to ``last`` and return the changes."""
        rows: list[dict[str, Any]] = []
        given = {incident.incident_id: incident for incident in known}
        now, end = LOOKBACK, last - self.scopes.first
        while now < end:
            if not known:
                now, new = self._next_alarm(known, now, end)
                if new:
                    rows.append(new.row("opened"))
                    known = [new]
                    given[new.incident_id] = new
                continue
            stop = min(now + BLOCK, end)
            ending = closing(self.scopes, known, now, stop)
            stop = min([stop, *(minute for minute, _ in ending.values())])
            reached, new = self._next_alarm(known, now, stop)
            known = [seen(self.scopes, incident, now, reached + 1 if new else stop) for incident in known]
            if new:
                rows.append(new.row("opened"))
                known.append(new)
                given[new.incident_id] = new
                now = reached
                continue
            for incident in [one for one in known if one.incident_id in ending and ending[one.incident_id][0] == stop]:
                rows.append(incident.row("closed", ended=ending[incident.incident_id][1]))
                known = [one for one in known if one is not incident]
            now = stop
        return rows + [incident.row("updated") for incident in known if given[incident.incident_id] != incident]

    def _next_alarm(self, known: list[Open], now: int, stop: int) -> tuple[int, Open | None]:
        """The first minute in [now, stop) in which what no known incident covers alarms, and the incident that it opens."""
        if any(incident.scope == "nation" for incident in known) or now >= stop:
            return stop, None
        if not known:
            counts = self.scopes.ordinary
            if self.undisturbed is None:
                self.undisturbed = evidence(counts)
            found, offset = self.undisturbed, now - LOOKBACK
        else:
            counts = self.scopes.without(known).part(now, stop)
            found, offset = evidence(counts), 0
        width = stop - now
        alarms = found.alarm[:, offset : offset + width] & ~self.scopes.planned[now:stop]
        if not alarms.any():
            return stop, None
        ahead = int(np.argmax(alarms.any(axis=0)))
        return now + ahead, opened(counts, found, offset + ahead, self.scopes.first + now + ahead, self.scopes.names)
