"""Counts by scope: the nation, each region and each channel, as streams of one array, with planned minutes taken out."""

from datetime import timedelta

import numpy as np
import polars as pl

from warehouse.analysis.changes import EPOCH, Open, minute_of_utc, naive
from warehouse.analysis.counts import Cube
from warehouse.analysis.errors import need_columns
from warehouse.analysis.evidence import Counts, midnights
from warehouse.analysis.panel import Array, Mask
from warehouse.analysis.times import DAY

_SEOUL = 540


class Scopes:
    """The minutes of one call. ``names`` [stream] is (scope, name), the nation first; ``ordinary`` are the counts of all of them."""

    def __init__(self, cube: Cube, planned: Mask) -> None:
        self.first, self.planned = cube.first, planned
        self.names = [("nation", ""), *(("region", name) for name in cube.regions), *(("channel", name) for name in cube.channels)]
        approved, failed = cube.approved * ~planned, cube.failed * ~planned
        # sums of multiples of 2^-20 are exact, so that no sum depends on where a call begins
        wanted = np.round(cube.expected * 2.0**20) / 2.0**20 * ~planned
        self.cells = (approved + cube.declined * ~planned + failed, failed, approved, wanted)
        self.midnight = midnights(cube.first, len(planned))
        self.ordinary = self._streams(np.ones(cube.approved.shape[:2], dtype=bool))

    def without(self, known: list[Open]) -> Counts:
        """The streams of what no known incident covers."""
        regions, channels, _ = self.cells[0].shape
        free = np.ones((regions, channels), dtype=bool)
        for incident in known:
            index = self.index(incident)
            if index is not None and index <= regions:
                free[index - 1] = False
            elif index is not None:
                free[:, index - 1 - regions] = False
        return self._streams(free)

    def index(self, incident: Open) -> int | None:
        """The stream of an incident, None where nothing was counted in it."""
        name = (incident.scope, incident.scope_name if incident.scope != "nation" else "")
        return self.names.index(name) if name in self.names else None

    def own(self, incident: Open, low: int, high: int) -> tuple[Counts, Array] | None:
        """The counts of an incident's own stream around [low, high), and the level to hold them against."""
        index = self.index(incident)
        if index is None:
            return None
        counts = self.ordinary.part(low, high)
        one = slice(index, index + 1)
        own = Counts(counts.attempts[one], counts.failed[one], counts.approved[one], counts.expected[one], counts.midnight)
        minute = np.arange(self.first + low, self.first + high)
        same_day = (minute + _SEOUL) // DAY == (incident.detected + _SEOUL) // DAY
        return own, np.where(same_day, incident.level, 1.0)

    def _streams(self, cells: Mask) -> Counts:
        attempts, failed, approved, expected = (_summed(figure * cells[:, :, None]) for figure in self.cells)
        return Counts(attempts, failed, approved, expected, self.midnight)


def _summed(figure: Array) -> Array:
    of_region = figure.sum(axis=1)
    return np.concatenate([of_region.sum(axis=0, keepdims=True), of_region, figure.sum(axis=0)])


def planned_minutes(maintenance: pl.DataFrame | None, first: int, last: int) -> Mask:
    """Which of the minutes [first, last) lie in maintenance of payments that was announced before its start.

    Raises:
        FrameError: a column is missing.
    """
    planned = np.zeros(last - first, dtype=bool)
    if maintenance is None or not len(maintenance):
        return planned
    need_columns(maintenance, "maintenance", ("starts_at", "ends_at", "announced_at"))
    counts = maintenance.filter(pl.col("announced_at") < pl.col("starts_at"))
    if "service" in counts.columns:
        counts = counts.filter(pl.col("service").is_null() | pl.col("service").cast(pl.String).is_in(["payment", "all", ""]))
    for start, end in counts.select("starts_at", "ends_at").iter_rows():
        low = minute_of_utc(start, "maintenance: starts_at") - first
        high = len(planned) if end is None else -((EPOCH - naive(end)) // timedelta(minutes=1)) - first
        planned[max(low, 0) : max(high, 0)] = True
    return planned
