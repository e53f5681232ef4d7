"""Whether an open incident is still seen, and when it is over."""

from dataclasses import replace

import numpy as np

from warehouse.analysis.budget import Drift
from warehouse.analysis.changes import Open
from warehouse.analysis.evidence import Counts, excess_exponent, shortfall_exponent, trailing
from warehouse.analysis.panel import Array, Mask
from warehouse.analysis.scopes import Grid
from warehouse.analysis.times import DAY, UTC_TO_SEOUL

QUIET_MINUTES = 30
"""An incident closes when it was last seen so long ago (and two steps), and payments were ordinary since."""

FORGOTTEN_MINUTES = 720
"""It also closes when nothing at all could be seen for so long."""

ORDINARY_FAILURE_RATE = 0.02


def seen(grid: Grid, own: Counts | None, drift: Drift, incident: Open, low: int, high: int) -> Open:
    """The incident after the steps [low, high); ``own`` are the counts of its scope."""
    # a step that was looked at twice changes nothing the second time
    if own is None:
        return incident
    bad = _bad(grid, own, drift, incident, low, high)
    if not bad.any():
        return incident
    failed, attempts = (trailing(f, _wide(grid, 5), own.begin, low, high)[0] for f in (own.failed, own.attempts))
    rate = np.where((attempts >= 10) & bad, failed / np.maximum(attempts, 1), 0.0)
    last = grid.minute(low + int(np.flatnonzero(bad)[-1]))
    return replace(incident, last_seen=max(incident.last_seen, last), peak=max(incident.peak, float(rate.max())))


def closing(grid: Grid, own: Counts | None, drift: Drift, incident: Open, low: int, high: int) -> tuple[int, int] | None:
    """Where the incident closes in [low, high): the index after that step, and the minute at which it ended; None while it goes on."""
    minute = grid.first + np.arange(low, high) * grid.step
    bad = np.zeros(high - low, dtype=bool) if own is None else _bad(grid, own, drift, incident, low, high)
    last = np.maximum.accumulate(np.where(bad, minute, incident.last_seen))
    planned = grid.planned[low:high]
    works = np.zeros(high - low, dtype=bool) if own is None else _ordinary(grid, own, incident, low, high)
    quiet = max(QUIET_MINUTES, 2 * grid.step)
    over = ((minute - last >= quiet) & works) | (minute - last >= max(FORGOTTEN_MINUTES, 12 * grid.step)) | planned
    if not over.any():
        return None
    at = int(np.argmax(over))
    return low + at + 1, int(minute[at]) if planned[at] else int(last[at]) + grid.step


def _wide(grid: Grid, minutes: int) -> int:
    """So many minutes in steps, at least one."""
    return max(minutes // grid.step, 1)


def _level(grid: Grid, incident: Open, low: int, high: int) -> Array:
    """The level to hold sales against: that of the detection on its day, none on others."""
    minute = grid.first + np.arange(low, high) * grid.step
    same_day = (minute + UTC_TO_SEOUL) // DAY == (incident.detected + UTC_TO_SEOUL) // DAY
    return np.where(same_day, incident.level, 1.0)


def _ordinary(grid: Grid, own: Counts, incident: Open, low: int, high: int) -> Mask:
    """Whether payments of the last half hour prove that it works: enough of them, and hardly a failure."""
    wide = _wide(grid, QUIET_MINUTES)
    attempts, failed, approved, expected = (trailing(f, wide, own.begin, low, high)[0] for f in (own.attempts, own.failed, own.approved, own.expected))
    works: Mask = failed < 0.05 * np.maximum(attempts, 1)
    if incident.scope == "service":
        works &= attempts > 0
        return works
    mean = expected * _level(grid, incident, low, high)
    enough: Mask = np.where(mean > 0, (approved >= np.maximum(0.4 * mean, 1)) | (approved >= 10) & (mean < 5), approved >= 10)
    works &= enough
    return works


def _bad(grid: Grid, own: Counts, drift: Drift, incident: Open, low: int, high: int) -> Mask:
    """In which steps of [low, high) the incident is still seen."""
    failed, attempts = (trailing(f, _wide(grid, 5), own.begin, low, high)[0] for f in (own.failed, own.attempts))
    usual = ORDINARY_FAILURE_RATE * attempts
    failing = (failed >= 3) & (failed >= 0.03 * attempts) & (excess_exponent(failed, usual, np.full(usual.shape, 0.05)) >= 3)
    wide = _wide(grid, 15)
    observed = trailing(own.approved, wide, own.begin, low, high)[0]
    mean = trailing(own.expected, wide, own.begin, low, high)[0] * _level(grid, incident, low, high)
    age = np.maximum(grid.first + np.arange(low, high) * grid.step - incident.detected, 0)
    straying = drift.part if incident.scope != "nation" else drift.nation
    # the level of then tells less and less of now
    doubt = np.minimum(0.001 + straying / grid.step * age, 0.0225 + 0.02 * np.minimum(age / 60, 6))
    # nearer to what was left than to what is ordinary
    bound = np.clip((1 + incident.left) / 2, 0.75, 0.92)
    missing = (shortfall_exponent(observed / drift.dispersion, mean / drift.dispersion, doubt) >= 2) & (observed <= bound * mean)
    bad: Mask = (failing | missing) & ~grid.planned[low:high]
    return bad
