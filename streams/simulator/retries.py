"""When people try again, as draws for single buyers and as shares a step for flows of them; the two agree (a test says so)."""

import numpy as np

from streams.simulator.platform_time import STEP_MS, STEPS_A_MINUTE

GENERATIONS = 12
"""The most tries of a purchase."""

_PATIENCE_KEPT = 0.88

MINUTES_LATER = (2 * STEPS_A_MINUTE, 12 * STEPS_A_MINUTE)
"""Steps between which those come back who never got as far as paying."""

HOURS_LATER = (45 * STEPS_A_MINUTE, 375 * STEPS_A_MINUTE)

_SOON_FROM_MS, _SOON_SPAN_MS = 15_000, 240_000


def patience(first: float) -> np.ndarray:
    """The share of each generation that tries again within minutes."""
    return first * _PATIENCE_KEPT ** np.arange(GENERATIONS)


def soon(uniform: np.ndarray) -> np.ndarray:
    """Milliseconds until the next try after a failed payment, one for each uniform number."""
    return _SOON_FROM_MS + uniform**2 * _SOON_SPAN_MS


def minutes_later(uniform: np.ndarray) -> np.ndarray:
    """Milliseconds until the next try of those who never got as far as paying."""
    return MINUTES_LATER[0] * STEP_MS + uniform * (MINUTES_LATER[1] - MINUTES_LATER[0]) * STEP_MS


def hours_later(uniform: np.ndarray) -> np.ndarray:
    """Milliseconds until the next try of those who come back hours later."""
    return HOURS_LATER[0] * STEP_MS + uniform * (HOURS_LATER[1] - HOURS_LATER[0]) * STEP_MS


_edges = np.arange(0, _SOON_FROM_MS + _SOON_SPAN_MS + 2 * STEP_MS, STEP_MS)
SOON = np.diff(np.sqrt(np.clip((_edges - _SOON_FROM_MS) / _SOON_SPAN_MS, 0, 1)))
"""The shares of ``soon`` that fall into the following steps."""
