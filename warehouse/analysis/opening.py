"""Which incident explains the alarms of a step: its scope, its kind, its onset."""

import hashlib
import json
from datetime import timedelta

import numpy as np

from warehouse.analysis.budget import LONGEST_MINUTES, Drift
from warehouse.analysis.changes import EPOCH, Open
from warehouse.analysis.evidence import Counts, Evidence, change_point, shortfall_exponent, trailing
from warehouse.analysis.panel import Array

REACH = 60
"""Steps before an alarm in which its onset may lie."""

REST_SPREAD = 0.15
"""Relative standard deviation with which the rest of the nation is called ordinary."""


def opened(counts: Counts, found: Evidence, drift: Drift, at: int, minute: int, step: int, names: list[tuple[str, str]]) -> Open:
    """The incident that explains the alarms at index ``at``, which begins at ``minute`` (since 1970); ``names`` [stream] are (scope, name)."""
    now = at - found.low
    strength = found.strength[:, now]
    stream = 0 if strength[0] >= 1 else int(np.argmax(strength))
    if stream == 0:
        parts = [p for p in np.argsort(-strength, kind="stable") if counts.part[p] and strength[p] >= 1 and _rest_is_ordinary(counts, found, int(p), at)]
        stream = int(parts[0]) if parts else 0
    failing = bool(found.failure[stream, now] >= 1)
    width = int((found.failure_window if failing else found.missing_window)[stream, now])
    level = float(found.level[stream, now])
    reach = slice(max(at - min(REACH, max(LONGEST_MINUTES // step, 12)) + 1, int(counts.begin[at]), 0), at + 1)
    attempts, failed, approved, expected = (f[stream, reach] for f in (counts.attempts, counts.failed, counts.approved, counts.expected))
    recent = slice(max(len(attempts) - width, 0), len(attempts))
    rate = float(failed[recent].sum() / max(attempts[recent].sum(), 1))
    sold, wanted = float(approved[recent].sum()), float(expected[recent].sum()) * level
    left = float(np.clip(sold / wanted, 0.0, 1.0)) if wanted > 0 else 1 - rate
    if failing:
        usual, then = max(float(found.rate[stream, now]), 0.01), min(rate, 0.98)
        gain = failed * np.log(then / usual) + (attempts - failed) * np.log((1 - then) / (1 - usual))
    else:
        bounded = float(np.clip(left, 0.02, 0.9))
        gain = (approved * np.log(bounded) + expected * level * (1 - bounded)) / drift.dispersion
    onset = minute - (len(gain) - 1 - change_point(gain)) * step
    figures = {
        "window_minutes": width * step,
        "observed": round(sold, 1) if sold % 1 else int(sold),
        "expected": round(wanted, 1),
        "attempts": int(attempts[recent].sum()),
        "failed": int(failed[recent].sum()),
        "rate": round(rate, 4),
        "level": level,
        "left": round(left, 4),
        "statistic": round(float(strength[stream]), 3),
    }
    scope, name = names[stream]
    kind = "failure_rate" if failing else "missing_sales"
    return Open(identity(minute, scope, name), kind, scope, name, onset, minute, minute, rate, json.dumps(figures), level, left)


def identity(minute: int, scope: str, name: str) -> str:
    """The id of an incident detected at ``minute``: always the same for the same minute and scope."""
    mark = hashlib.sha256(f"{scope}/{name}".encode()).hexdigest()[:6]
    return f"{EPOCH + timedelta(minutes=minute):%Y%m%d-%H%M}-{scope}-{mark}"


def _rest_is_ordinary(counts: Counts, found: Evidence, part: int, at: int) -> bool:
    """Whether the nation without ``part`` shows no failures worth the name and lacks hardly any of its sales."""
    now = at - found.low
    failing = bool(found.failure[0, now] >= 1)
    width = int((found.failure_window if failing else found.missing_window)[0, now])

    def rest(figure: Array) -> float:
        summed = trailing(figure[[0, part]], width, counts.begin, at, at + 1)
        return float(summed[0, 0] - summed[1, 0])

    attempts, failed, sold = rest(counts.attempts), rest(counts.failed), rest(counts.approved)
    wanted = rest(counts.expected) * float(found.level[0, now])
    if attempts <= 0 and wanted <= 0:
        # the part is all there is: what happens to it happens to the nation
        return False
    if failed >= 3 and failed >= 0.03 * attempts:
        return False
    lacking = trailing(counts.approved[[0, part]], width, counts.begin, at, at + 1)[:, 0]
    due = trailing(counts.expected[[0, part]], width, counts.begin, at, at + 1)[:, 0] * found.level[[0, part], now]
    missing = due - lacking
    # a part explains the nation where it lacks most of what the nation lacks
    if not failing and missing[1] < 0.6 * missing[0]:
        return False
    # a minute alone strays by more than a fifth
    beyond_chance = float(shortfall_exponent(np.array([sold]), np.array([wanted]), np.array([REST_SPREAD**2]))[0]) >= 2
    return sold >= 0.8 * wanted or not beyond_chance
