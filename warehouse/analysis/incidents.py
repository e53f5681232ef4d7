"""Incidents, online: what opens, goes on and closes when minutes close. At a minute, only data up to it is used.

A state machine that jumps from change to change: between two changes every minute is tested at once. The state is the rows of
the open incidents and nothing else, so that it does not matter how a time is cut into calls. Longer than other modules
because opening, going on and closing share the counts of one call.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from warehouse.analysis.counts import Cube, cube_of, utc_minutes
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.evidence import (
    DRIFT,
    LOOKBACK,
    ORDINARY_FAILURE_RATE,
    Counts,
    Evidence,
    binomial_exponent,
    change_point,
    evidence,
    midnights,
    shortfall_exponent,
    trailing,
)
from warehouse.analysis.panel import Array, Mask
from warehouse.analysis.times import DAY

QUIET_MINUTES = 30
"""An incident closes when it was last seen so long ago, and payments were ordinary since."""

FORGOTTEN_MINUTES = 720
"""It also closes when nothing at all could be seen for so long."""

BLOCK = 720
_SEOUL = 540
_EPOCH = datetime(1970, 1, 1)

CHANGES = {
    "incident_id": pl.String,
    "action": pl.String,
    "kind": pl.String,
    "scope": pl.String,
    "scope_name": pl.String,
    "onset_at": pl.Datetime("us"),
    "detected_at": pl.Datetime("us"),
    "last_seen_at": pl.Datetime("us"),
    "ended_at": pl.Datetime("us"),
    "peak_failure_rate": pl.Float64,
    "evidence": pl.String,
}


@dataclass(frozen=True)
class Open:
    """An open incident; minutes are UTC since 1970. ``level`` is that of sales when it was detected."""

    incident_id: str
    kind: str
    scope: str
    scope_name: str
    onset: int
    detected: int
    last_seen: int
    peak: float
    evidence: str
    level: float

    def row(self, action: str, ended: int | None = None) -> dict[str, Any]:
        """The row of a change."""
        times = {"onset_at": self.onset, "detected_at": self.detected, "last_seen_at": self.last_seen, "ended_at": ended}
        moments = {name: None if minute is None else _EPOCH + timedelta(minutes=minute) for name, minute in times.items()}
        names = {"incident_id": self.incident_id, "action": action, "kind": self.kind, "scope": self.scope, "scope_name": self.scope_name}
        return {**names, **moments, "peak_failure_rate": self.peak, "evidence": self.evidence}


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
    first, last = _minute(since, "since"), _minute(until, "until")
    if last < first:
        raise AnalysisError(f"until: expected a time from since on ({since}), got {until}.")
    known = _read(open_incidents)
    if last == first:
        return pl.DataFrame(schema=CHANGES)
    cube = cube_of(minutes, expected, first - LOOKBACK, last)
    rows = _Watch(cube, _planned(maintenance, first - LOOKBACK, last)).run(known, last)
    return pl.DataFrame(rows, schema=CHANGES, orient="row")


class _Watch:
    """One call: the counts, and the walk over them."""

    def __init__(self, cube: Cube, planned: Mask) -> None:
        self.first, self.planned = cube.first, planned
        self.names = [("nation", ""), *(("region", name) for name in cube.regions), *(("channel", name) for name in cube.channels)]
        approved, failed = cube.approved * ~planned, cube.failed * ~planned
        # sums of multiples of 2^-20 are exact, so that no sum depends on where a call begins
        wanted = np.round(cube.expected * 2.0**20) / 2.0**20 * ~planned
        self.cells = (approved + cube.declined * ~planned + failed, failed, approved, wanted)
        self.midnight = midnights(cube.first, len(planned))
        self.ordinary = self._streams(np.ones(cube.approved.shape[:2], dtype=bool))
        self.undisturbed: Evidence | None = None

    def run(self, known: list[Open], last: int) -> list[dict[str, Any]]:
        """Walk to ``last`` and return the changes."""
        rows: list[dict[str, Any]] = []
        given = {incident.incident_id: incident for incident in known}
        now, end = LOOKBACK, last - self.first
        while now < end:
            if not known:
                now, opened = self._next_alarm(known, now, end)
                if opened:
                    rows.append(opened.row("opened"))
                    known = [opened]
                    given[opened.incident_id] = opened
                continue
            stop = min(now + BLOCK, end)
            closing = self._closing(known, now, stop)
            stop = min([stop, *(minute for minute, _ in closing.values())])
            reached, opened = self._next_alarm(known, now, stop)
            known = [self._seen(incident, now, reached + 1 if opened else stop) for incident in known]
            if opened:
                rows.append(opened.row("opened"))
                known.append(opened)
                given[opened.incident_id] = opened
                now = reached
                continue
            for incident in [one for one in known if one.incident_id in closing and closing[one.incident_id][0] == stop]:
                rows.append(incident.row("closed", ended=closing[incident.incident_id][1]))
                known = [one for one in known if one is not incident]
            now = stop
        return rows + [incident.row("updated") for incident in known if given[incident.incident_id] != incident]

    def _streams(self, cells: Mask) -> Counts:
        summed = []
        for figure in self.cells:
            kept = figure * cells[:, :, None]
            of_region = kept.sum(axis=1)
            summed.append(np.concatenate([of_region.sum(axis=0, keepdims=True), of_region, kept.sum(axis=0)]))
        return Counts(*summed, self.midnight)

    def _index(self, incident: Open) -> int | None:
        name = (incident.scope, incident.scope_name if incident.scope != "nation" else "")
        return self.names.index(name) if name in self.names else None

    def _next_alarm(self, known: list[Open], now: int, stop: int) -> tuple[int, Open | None]:
        """The first minute in [now, stop) in which what no known incident covers alarms, and the incident that it opens."""
        if any(incident.scope == "nation" for incident in known) or now >= stop:
            return stop, None
        if not known:
            counts = self.ordinary
            if self.undisturbed is None:
                self.undisturbed = evidence(counts)
            found, offset = self.undisturbed, now - LOOKBACK
        else:
            free = np.ones(self.cells[0].shape[:2], dtype=bool)
            for incident in known:
                index = self._index(incident)
                if index is not None and index <= free.shape[0]:
                    free[index - 1] = False
                elif index is not None:
                    free[:, index - 1 - free.shape[0]] = False
            counts = self._streams(free).part(now, stop)
            found, offset = evidence(counts), 0
        width = stop - now
        alarms = found.alarm[:, offset : offset + width] & ~self.planned[now:stop]
        if not alarms.any():
            return stop, None
        ahead = int(np.argmax(alarms.any(axis=0)))
        return now + ahead, self._open(counts, found, offset + ahead, now + ahead)

    def _open(self, counts: Counts, found: Evidence, at: int, now: int) -> Open:
        """The incident that explains the alarms of minute index ``at`` of ``found``; ``now`` is its index in the call."""
        strength = found.strength[:, at]
        stream = 0 if strength[0] >= 1 else int(np.argmax(strength))
        if stream == 0:
            parts = [p for p in np.argsort(-strength, kind="stable") if p > 0 and strength[p] >= 1 and self._rest_is_ordinary(counts, found, int(p), at)]
            stream = int(parts[0]) if parts else 0
        failing = bool(found.failure[stream, at] >= 1)
        kind = "failure_rate" if failing else "missing_sales"
        width = int((found.failure_window if failing else found.missing_window)[stream, at])
        level = float(found.level[stream, at])
        centre = at + LOOKBACK
        hour = slice(centre - LOOKBACK + 1, centre + 1)
        attempts, failed, approved, expected = (f[stream, hour] for f in (counts.attempts, counts.failed, counts.approved, counts.expected))
        recent = slice(len(attempts) - width, len(attempts))
        rate = float(failed[recent].sum() / max(attempts[recent].sum(), 1))
        today = np.arange(hour.start, hour.stop) >= counts.midnight[centre]
        if failing:
            rate_then = min(rate, 0.98)
            gain = failed * np.log(rate_then / ORDINARY_FAILURE_RATE) + (attempts - failed) * np.log((1 - rate_then) / (1 - ORDINARY_FAILURE_RATE))
        else:
            left = float(np.clip(approved[recent].sum() / max(expected[recent].sum() * level, 1e-9), 0.02, 0.9))
            gain = np.where(today, approved * np.log(left) + expected * level * (1 - left), 0.0)
        minute = self.first + now
        onset = minute - (len(gain) - 1 - change_point(gain))
        scope, name = self.names[stream]
        figures = {
            "window_minutes": width,
            "observed": int(approved[recent].sum()),
            "expected": round(float((expected[recent] * today[recent]).sum()) * level, 1),
            "attempts": int(attempts[recent].sum()),
            "failed": int(failed[recent].sum()),
            "rate": round(rate, 4),
            "level": level,
            "statistic": round(float(strength[stream]), 3),
        }
        mark = hashlib.sha256(f"{scope}/{name}".encode()).hexdigest()[:6]
        incident_id = f"{_EPOCH + timedelta(minutes=minute):%Y%m%d-%H%M}-{scope}-{mark}"
        return Open(incident_id, kind, scope, name, onset, minute, minute, rate, json.dumps(figures), level)

    def _rest_is_ordinary(self, counts: Counts, found: Evidence, part: int, at: int) -> bool:
        """Whether the nation without ``part`` shows no failures worth the name and lacks less than a fifth of its sales."""
        now = slice(at, at + 1)
        width = int(found.failure_window[0, at] if found.failure[0, at] >= 1 else found.missing_window[0, at])

        def rest(figure: Array, floor: Array | None = None) -> float:
            summed = trailing(figure[[0, part]], width, floor)[:, now]
            return float(summed[0, 0] - summed[1, 0])

        attempts, failed = rest(counts.attempts), rest(counts.failed)
        if failed >= 3 and failed >= 0.03 * attempts:
            return False
        wanted, sold = rest(counts.expected, counts.midnight) * float(found.level[0, at]), rest(counts.approved, counts.midnight)
        # a minute alone strays by more than a fifth
        beyond_chance = float(shortfall_exponent(np.array([sold]), np.array([wanted]), np.array([DRIFT**2]))[0]) >= 2
        return sold >= 0.8 * wanted or not beyond_chance

    def _own(self, incident: Open, low: int, high: int) -> tuple[Counts, Array] | None:
        """The counts of an incident's own stream around [low, high), and the level to hold them against."""
        index = self._index(incident)
        if index is None:
            return None
        counts = self.ordinary.part(low, high)
        own = Counts(*(figure[index : index + 1] for figure in (counts.attempts, counts.failed, counts.approved, counts.expected)), counts.midnight)
        minute = np.arange(self.first + low, self.first + high)
        same_day = (minute + _SEOUL) // DAY == (incident.detected + _SEOUL) // DAY
        return own, np.where(same_day, incident.level, 1.0)

    def _bad(self, incident: Open, low: int, high: int) -> Mask:
        """In which minutes of [low, high) the incident is still seen."""
        found = self._own(incident, low, high)
        if found is None:
            return np.zeros(high - low, dtype=bool)
        own, level = found
        failed, attempts = trailing(own.failed, 5)[0], trailing(own.attempts, 5)[0]
        failing = (failed >= 3) & (failed >= 0.03 * attempts) & (binomial_exponent(failed, attempts, ORDINARY_FAILURE_RATE) >= 3)
        observed = trailing(own.approved, 15, own.midnight)[0]
        mean = trailing(own.expected, 15, own.midnight)[0] * level
        age = np.clip((np.arange(self.first + low, self.first + high) - incident.detected) / 60, 0, 6)
        missing = (shortfall_exponent(observed, mean, DRIFT**2 + 0.02 * age) >= 6) & (observed <= 0.75 * mean)
        return (failing | missing) & ~self.planned[low:high]

    def _seen(self, incident: Open, low: int, high: int) -> Open:
        """The incident after the minutes [low, high)."""
        # a minute that was looked at twice changes nothing the second time
        bad = self._bad(incident, low, high)
        found = self._own(incident, low, high)
        if found is None or not bad.any():
            return incident
        failed, attempts = trailing(found[0].failed, 5)[0], trailing(found[0].attempts, 5)[0]
        rate = np.where((attempts >= 10) & bad, failed / np.maximum(attempts, 1), 0.0)
        seen = self.first + low + int(np.flatnonzero(bad)[-1])
        return replace(incident, last_seen=max(incident.last_seen, seen), peak=max(incident.peak, float(rate.max())))

    def _closing(self, known: list[Open], low: int, high: int) -> dict[str, tuple[int, int]]:
        """For each incident that closes in [low, high): the index after that minute, and when it ended."""
        closing = {}
        for incident in known:
            minute = np.arange(self.first + low, self.first + high)
            bad = self._bad(incident, low, high)
            seen = np.maximum.accumulate(np.where(bad, minute, incident.last_seen))
            planned = self.planned[low:high]
            over = ((minute - seen >= QUIET_MINUTES) & self._ordinary(incident, low, high)) | (minute - seen >= FORGOTTEN_MINUTES) | planned
            if over.any():
                at = int(np.argmax(over))
                closing[incident.incident_id] = (low + at + 1, int(minute[at]) if planned[at] else int(seen[at]) + 1)
        return closing

    def _ordinary(self, incident: Open, low: int, high: int) -> Mask:
        """Whether payments of the last half hour prove that it works: enough of them, and hardly a failure."""
        found = self._own(incident, low, high)
        if found is None:
            return np.ones(high - low, dtype=bool)
        own, level = found
        approved, attempts, failed = (trailing(figure, QUIET_MINUTES)[0] for figure in (own.approved, own.attempts, own.failed))
        today = trailing(own.approved, QUIET_MINUTES, own.midnight)[0]
        mean = trailing(own.expected, QUIET_MINUTES, own.midnight)[0] * level
        enough = np.where(mean > 0, (today >= np.maximum(0.4 * mean, 1)) | (approved >= 10) & (mean < 5), approved >= 10)
        return enough & (failed < 0.05 * np.maximum(attempts, 1))


def _planned(maintenance: pl.DataFrame | None, first: int, last: int) -> Mask:
    planned = np.zeros(last - first, dtype=bool)
    if maintenance is None or not len(maintenance):
        return planned
    need_columns(maintenance, "maintenance", ("starts_at", "ends_at", "announced_at"))
    counts = maintenance.filter(pl.col("announced_at") < pl.col("starts_at"))
    if "service" in counts.columns:
        counts = counts.filter(pl.col("service").is_null() | pl.col("service").cast(pl.String).is_in(["payment", "all", ""]))
    for start, end in counts.select("starts_at", "ends_at").iter_rows():
        low = _minute(start, "maintenance: starts_at") - first
        high = len(planned) if end is None else -((_EPOCH - _naive(end)) // timedelta(minutes=1)) - first
        planned[max(low, 0) : max(high, 0)] = True
    return planned


def _read(rows: pl.DataFrame) -> list[Open]:
    if not len(rows):
        return []
    need_columns(rows, "open_incidents", [name for name in CHANGES if name not in ("action", "ended_at")])
    rows = rows.filter(pl.col("scope").is_in(["nation", "region", "channel"]))
    times = {name: utc_minutes(rows[name], f"open_incidents: {name}") for name in ("onset_at", "detected_at", "last_seen_at")}
    found = []
    for index, row in enumerate(rows.iter_rows(named=True)):
        said = json.loads(row["evidence"]) if row["evidence"] else {}
        onset, detected, seen = (int(times[name][index]) for name in times)
        level, peak = float(said.get("level", 1.0)), float(row["peak_failure_rate"] or 0.0)
        found.append(Open(row["incident_id"], row["kind"], row["scope"], row["scope_name"] or "", onset, detected, seen, peak, row["evidence"], level))
    return found


def _naive(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else (moment - moment.utcoffset()).replace(tzinfo=None)  # type: ignore[operator]


def _minute(moment: datetime, what: str) -> int:
    if not isinstance(moment, datetime):
        raise AnalysisError(f"{what}: expected a datetime in UTC, got {moment!r}.")
    return (_naive(moment) - _EPOCH) // timedelta(minutes=1)
