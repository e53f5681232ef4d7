"""Which incident explains the alarms of a minute: its scope, its kind, its onset."""

import hashlib
import json
from datetime import timedelta

import numpy as np

from warehouse.analysis.changes import EPOCH, Open
from warehouse.analysis.evidence import DRIFT, LOOKBACK, ORDINARY_FAILURE_RATE, Counts, Evidence, change_point, shortfall_exponent, trailing
from warehouse.analysis.panel import Array, Codes


def opened(counts: Counts, found: Evidence, at: int, minute: int, names: list[tuple[str, str]]) -> Open:
    """The incident that explains the alarms of minute index ``at`` of ``found``, which is ``minute`` (UTC, since 1970); ``names`` [stream] are (scope, name)."""
    strength = found.strength[:, at]
    stream = 0 if strength[0] >= 1 else int(np.argmax(strength))
    if stream == 0:
        parts = [p for p in np.argsort(-strength, kind="stable") if p > 0 and strength[p] >= 1 and _rest_is_ordinary(counts, found, int(p), at)]
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
    onset = minute - (len(gain) - 1 - change_point(gain))
    scope, name = names[stream]
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
    incident_id = f"{EPOCH + timedelta(minutes=minute):%Y%m%d-%H%M}-{scope}-{mark}"
    return Open(incident_id, kind, scope, name, onset, minute, minute, rate, json.dumps(figures), level)


def _rest_is_ordinary(counts: Counts, found: Evidence, part: int, at: int) -> bool:
    """Whether the nation without ``part`` shows no failures worth the name and lacks less than a fifth of its sales."""
    now = slice(at, at + 1)
    width = int(found.failure_window[0, at] if found.failure[0, at] >= 1 else found.missing_window[0, at])

    def rest(figure: Array, floor: Codes | None = None) -> float:
        summed = trailing(figure[[0, part]], width, floor)[:, now]
        return float(summed[0, 0] - summed[1, 0])

    attempts, failed = rest(counts.attempts), rest(counts.failed)
    wanted, sold = rest(counts.expected, counts.midnight) * float(found.level[0, at]), rest(counts.approved, counts.midnight)
    if attempts <= 0 and wanted <= 0:
        # the part is all there is: what happens to it happens to the nation
        return False
    if failed >= 3 and failed >= 0.03 * attempts:
        return False
    # a minute alone strays by more than a fifth
    beyond_chance = float(shortfall_exponent(np.array([sold]), np.array([wanted]), np.array([DRIFT**2]))[0]) >= 2
    return sold >= 0.8 * wanted or not beyond_chance
