"""Whether an open incident is still seen, and when it is over."""

from dataclasses import replace

import numpy as np

from warehouse.analysis.changes import Open
from warehouse.analysis.evidence import DRIFT, ORDINARY_FAILURE_RATE, binomial_exponent, shortfall_exponent, trailing
from warehouse.analysis.panel import Mask
from warehouse.analysis.scopes import Scopes

QUIET_MINUTES = 30
"""An incident closes when it was last seen so long ago, and payments were ordinary since."""

FORGOTTEN_MINUTES = 720
"""It also closes when nothing at all could be seen for so long."""


def seen(scopes: Scopes, incident: Open, low: int, high: int) -> Open:
    """The incident after the minutes [low, high)."""
    # a minute that was looked at twice changes nothing the second time
    bad = _bad(scopes, incident, low, high)
    found = scopes.own(incident, low, high)
    if found is None or not bad.any():
        return incident
    failed, attempts = trailing(found[0].failed, 5)[0], trailing(found[0].attempts, 5)[0]
    rate = np.where((attempts >= 10) & bad, failed / np.maximum(attempts, 1), 0.0)
    last = scopes.first + low + int(np.flatnonzero(bad)[-1])
    return replace(incident, last_seen=max(incident.last_seen, last), peak=max(incident.peak, float(rate.max())))


def closing(scopes: Scopes, known: list[Open], low: int, high: int) -> dict[str, tuple[int, int]]:
    """For each incident that closes in [low, high): the index after that minute, and when it ended."""
    over_at = {}
    for incident in known:
        minute = np.arange(scopes.first + low, scopes.first + high)
        bad = _bad(scopes, incident, low, high)
        last = np.maximum.accumulate(np.where(bad, minute, incident.last_seen))
        planned = scopes.planned[low:high]
        over = ((minute - last >= QUIET_MINUTES) & _ordinary(scopes, incident, low, high)) | (minute - last >= FORGOTTEN_MINUTES) | planned
        if over.any():
            at = int(np.argmax(over))
            over_at[incident.incident_id] = (low + at + 1, int(minute[at]) if planned[at] else int(last[at]) + 1)
    return over_at


def _ordinary(scopes: Scopes, incident: Open, low: int, high: int) -> Mask:
    """Whether payments of the last half hour prove that it works: enough of them, and hardly a failure."""
    found = scopes.own(incident, low, high)
    if found is None:
        return np.ones(high - low, dtype=bool)
    own, level = found
    approved, attempts, failed = (trailing(figure, QUIET_MINUTES)[0] for figure in (own.approved, own.attempts, own.failed))
    today = trailing(own.approved, QUIET_MINUTES, own.midnight)[0]
    mean = trailing(own.expected, QUIET_MINUTES, own.midnight)[0] * level
    enough: Mask = np.where(mean > 0, (today >= np.maximum(0.4 * mean, 1)) | (approved >= 10) & (mean < 5), approved >= 10)
    works: Mask = enough & (failed < 0.05 * np.maximum(attempts, 1))
    return works


def _bad(scopes: Scopes, incident: Open, low: int, high: int) -> Mask:
    """In which minutes of [low, high) the incident is still seen."""
    found = scopes.own(incident, low, high)
    if found is None:
        return np.zeros(high - low, dtype=bool)
    own, level = found
    failed, attempts = trailing(own.failed, 5)[0], trailing(own.attempts, 5)[0]
    failing = (failed >= 3) & (failed >= 0.03 * attempts) & (binomial_exponent(failed, attempts, ORDINARY_FAILURE_RATE) >= 3)
    observed = trailing(own.approved, 15, own.midnight)[0]
    mean = trailing(own.expected, 15, own.midnight)[0] * level
    age = np.clip((np.arange(scopes.first + low, scopes.first + high) - incident.detected) / 60, 0, 6)
    missing = (shortfall_exponent(observed, mean, DRIFT**2 + 0.02 * age) >= 6) & (observed <= 0.75 * mean)
    bad: Mask = (failing | missing) & ~scopes.planned[low:high]
    return bad
