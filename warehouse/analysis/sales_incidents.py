"""Incidents in anybody's sales: the method of the minutes on a file of sales in steps of any uniform length."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from warehouse.analysis.budget import Drift
from warehouse.analysis.calendar import types_of
from warehouse.analysis.changes import CHANGES, EPOCH, Open
from warehouse.analysis.counts import Cells, drift_of_days
from warehouse.analysis.effects import Promotions, factors, market_day_factor, market_days, without
from warehouse.analysis.errors import FrameError, HistoryError, need_columns
from warehouse.analysis.panel import Array, Codes, Mask, Panel, Rows, panel_of, regular_cuts, rows_of
from warehouse.analysis.profiles import Learner
from warehouse.analysis.scopes import Grid, Scopes
from warehouse.analysis.times import DAY, UTC_TO_SEOUL, date_of, minute_of, spans_of
from warehouse.analysis.watching import Watch

HISTORY_DAYS = 56
LEAST_DAYS = 8
"""Days before the first one that is judged."""

LONGEST_GAP = 366
"""Days without a row: each of them would be judged, and one mistyped year makes centuries of them."""

STEPS_BEFORE = 60
"""Steps before a day from which its level is followed, and a day at least."""

FORGOTTEN_DAYS = 2
"""Days of one incident that are not learnt from."""

_FOUND = {name: kind for name, kind in CHANGES.items() if name not in ("action", "peak_failure_rate", "merged_into")}


def detect_sales(
    sales: pl.DataFrame,
    *,
    since: datetime | None = None,
    calendar: pl.DataFrame | None = None,
    exclusions: pl.DataFrame | None = None,
    cycles: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Where sales were missing, each day judged by the days before it and each step by the steps up to it.

    ``sales``: ``at`` (start of a step; any uniform step that divides a day), ``sales``, optionally ``market_id``, ``region``, ``channel``; counts or
    amounts, absent rows are zero. ``since``: days before its day are only learnt from. ``calendar``: ``date``, ``day_type`` (by default Korean workdays, Saturdays, holidays). ``exclusions``:
    ``start``, ``end``, of all markets: not learnt from and not judged. ``cycles``: ``market_id``, ``days`` (last digits of market days); what these carry is learnt from the days before.

    Returns one row an incident in the order of detection: ``incident_id``, ``kind``, ``scope``, ``scope_name``, ``onset_at``, ``detected_at`` (the end of
    the step that showed it), ``last_seen_at``, ``ended_at`` (null: it goes on), ``evidence``; times local, without a zone. The first eight
    days are only learnt from, and so is the first of each kind of day.

    Raises:
        FrameError: a column is missing or holds what it may not, or more than a year has no rows.
        HistoryError: the file is too short.
    """
    need_columns(sales, "sales", ("at", "sales"))
    axes = tuple(name for name in ("region", "channel", "market_id") if name in sales.columns)
    rows = rows_of(sales, "sales", axes)
    if not len(rows.minute):
        raise HistoryError("sales: expected some, got no rows.")
    days = np.unique(rows.minute // DAY)
    if len(gaps := np.flatnonzero(np.diff(days) > LONGEST_GAP)):
        before, after = (date_of(int(days[gaps[0] + step])) for step in (0, 1))
        raise FrameError(
            f"sales: expected no gap of more than {LONGEST_GAP} days; got no row between {before} and {after}. Is a year mistyped? "
            "If not, give only the rows of one side."
        )
    of = _File.of(rows, axes, calendar, exclusions, cycles)
    if of.days <= LEAST_DAYS:
        raise HistoryError(f"sales: expected more than {LEAST_DAYS} days, of which the first are only learnt from; got {of.days}.")
    known: list[Open] = []
    found: dict[str, dict[str, Any]] = {}
    expected = np.zeros((len(of.panel.values), of.days, of.panel.values.shape[2]))
    judged = max(LEAST_DAYS, minute_of(since, "since") // DAY - of.panel.first_day) if since else LEAST_DAYS
    for day in range(max(judged - 1, LEAST_DAYS), of.days):
        expected[:, day], drift = of.learnt(day)
        if day < judged:
            continue
        low = max(day - max(1, -(-STEPS_BEFORE * of.step // DAY)), 0)
        watch = Watch(of.scopes(expected[:, low : day + 1], low, day + 1), drift)
        slots = of.panel.values.shape[2]
        end = min((day + 1 - low) * slots, of.last - low * slots)
        changes, known = watch.run(known, (day - low) * slots, end)
        for row in changes + [one.row("updated") for one in known]:
            of.forget(row, day)
            found[row["incident_id"]] = {name: _local(row[name], of.step if name == "detected_at" else 0) for name in _FOUND} | {"merged": row["merged_into"]}
    kept = [{name: row[name] for name in _FOUND} for row in found.values() if not row["merged"]]
    return pl.DataFrame(kept, schema=_FOUND, orient="row").sort("detected_at", "incident_id")


@dataclass(frozen=True)
class _File:
    """A file of sales: its cells (places) by day and slot, and the names of each on the axes."""

    panel: Panel
    kinds: Codes
    step: int
    last: int
    names: dict[str, list[str]]
    axes: dict[str, Codes]
    ordinary: Mask
    """What may be learnt from [day, slot]."""
    held: Mask | None
    """Which cell has its market day when [cell, day]."""

    @classmethod
    def of(cls, rows: Rows, axes: tuple[str, ...], calendar: pl.DataFrame | None, exclusions: pl.DataFrame | None, cycles: pl.DataFrame | None) -> "_File":
        code = np.zeros(len(rows.minute), dtype=np.int64)
        for axis in axes:
            code = code * len(rows.names[axis]) + rows.places[axis]
        used, place = np.unique(code, return_inverse=True)
        at = np.unique(place, return_index=True)[1]
        known = {("market" if axis == "market_id" else axis): axis for axis in axes if len(rows.names[axis]) > 1}
        days = (int(rows.minute.min()) // DAY, int(rows.minute.max()) // DAY + 1)
        until = int(rows.minute.max()) + rows.step
        spans = spans_of(exclusions, "exclusions")
        if single := [market for _, _, market in spans if market is not None]:
            raise FrameError(
                f"exclusions: expected spans of all markets, got one of {single[0]!r}. Leave that market's rows out of sales, or its span out of exclusions."
            )
        gaps: list[tuple[int, int, int | None]] = [(low, high, None) for low, high, _ in spans]
        panel = panel_of(rows, regular_cuts(rows.step), place.astype(np.int64), len(used), days, until, gaps)
        kinds = np.unique(np.array(types_of([date_of(d) for d in range(*days)], calendar)), return_inverse=True)[1].astype(np.int64)
        names = {axis: rows.names[own] for axis, own in known.items()}
        held = None
        if cycles is not None:
            if "market_id" not in axes:
                raise FrameError("cycles: expected a column 'market_id' in sales, which they are of; got none. Add it, or leave the cycles out.")
            held = market_days(cycles, rows.names["market_id"], list(range(*days)))[rows.places["market_id"][at]]
        of_axis = {axis: rows.places[own][at] for axis, own in known.items()}
        return cls(panel, kinds, rows.step, (until - days[0] * DAY) // rows.step, names, of_axis, panel.seen.copy(), held)

    @property
    def days(self) -> int:
        """How many days the file covers."""
        return len(self.kinds)

    def learnt(self, day: int) -> tuple[Array, Drift]:
        """What is expected of a day [cell, slot] from the days before it, and how those strayed; nothing where no day like it is known."""
        first = max(day - HISTORY_DAYS, 0)
        past = slice(first, day + 1)
        learn = self.ordinary[past].copy()
        learn[-1] = False
        window = Panel(self.panel.values[:, past], self.panel.seen[past], None, self.panel.first_day + first, self.panel.cuts)
        lifted = None
        if self.held is not None:
            lifted = factors(
                self.held[:, past], market_day_factor(window, self.kinds[past], learn, self.held[:, past]), Promotions([], []), window.starts, day + 1 - first
            )
        if lifted is not None:
            window = replace(window, values=without(window.values, lifted))
        learner = Learner.of(window, self.kinds[past], learn)
        alike = learner.usable & (learner.kinds == learner.kinds[-1])
        shape = (window.values.shape[0], window.values.shape[2])
        if not alike.any():
            return np.zeros(shape), Drift()
        found = learner.expected(np.array([day - first]), np.zeros((1, day + 1 - first), dtype=bool))[0]
        cells = next(iter(self.axes.values()), np.zeros(shape[0], dtype=np.int64))
        drift = drift_of_days(learner, window, [str(c) for c in cells], lambda x: x, self.step, apart=False)
        if lifted is not None:
            found = found * lifted[:, -1]
        return (found, drift) if drift else (np.zeros(shape), Drift())

    def forget(self, row: dict[str, Any], day: int) -> None:
        """Learn nothing from an incident of several places; what lasts longer than some days is the new ordinary."""
        if row["scope"] == "market":
            return
        first = ((row["onset_at"] - EPOCH) // timedelta(minutes=1) + UTC_TO_SEOUL - self.panel.first_day * DAY) // self.step
        slots = self.panel.values.shape[2]
        last = min((day + 1) * slots, first + FORGOTTEN_DAYS * slots)
        if row["ended_at"] is not None:
            last = min(last, first - (row["onset_at"] - row["ended_at"]) // timedelta(minutes=self.step))
        self.ordinary.reshape(-1)[max(first, 0) : max(last, 0)] = False

    def scopes(self, expected: Array, low: int, high: int) -> Scopes:
        """The days [low, high) as streams."""
        slots = expected.shape[2]
        sold = self.panel.values[:, low:high].reshape(len(expected), -1)
        seen = self.panel.seen[low:high].reshape(-1)
        inside = np.arange(len(seen)) < self.last - low * slots
        at = np.tile(np.arange(len(seen)), len(sold))
        axes = {axis: np.repeat(codes, len(seen)) for axis, codes in self.axes.items()}
        nothing = np.zeros(sold.size)
        # a whole day without any sale may be the greatest of incidents: only exclusions are let be
        quiet = ~seen & (self.panel.values[:, low:high].sum(axis=(0, 2)) > 0).repeat(slots) & inside
        first = (self.panel.first_day + low) * DAY - UTC_TO_SEOUL
        grid = Grid(first, self.step, np.zeros(len(seen), dtype=np.int64), quiet)
        paid = Cells(at, axes, {"attempts": nothing, "failed": nothing, "approved": sold.ravel()})
        return Scopes(grid, self.names, paid, Cells(at, dict(axes), {"expected": expected.reshape(len(expected), -1).ravel()}))


def _local(value: Any, later: int) -> Any:  # noqa: ANN401  # a cell of a row
    """A time by the local clock, some minutes later; anything else as it is."""
    return value + timedelta(minutes=UTC_TO_SEOUL + later) if isinstance(value, type(EPOCH)) else value
