"""The operator of a failing platform restarts a part of it now and then; what is in progress is dropped, and caches are cold afterwards."""

import numpy as np

from streams.simulator.platform_time import STEPS_A_MINUTE

_FAILING = 0.3
_RESTART_LASTS, _WARM_AFTER = 3 * STEPS_A_MINUTE, 13 * STEPS_A_MINUTE
_HALF, _COLD = 0.5, 0.6


class Operator:
    """Restarts a part of the platform when it has failed for long; one object a day, one call of each method a step."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._next: int | None = None
        self._since = _WARM_AFTER

    def capacity_left(self) -> float:
        """The share of the capacity that is there in this step: half during a restart, then more as caches warm."""
        self._since += 1
        if self._since < _RESTART_LASTS:
            return _HALF
        return min(1.0, _COLD + (1 - _COLD) * (self._since - _RESTART_LASTS) / (_WARM_AFTER - _RESTART_LASTS))

    @property
    def restarting(self) -> bool:
        """Whether a restart goes on."""
        return self._since < _RESTART_LASTS

    def restarts(self, step: int, failing: float, every_minutes: float) -> bool:
        """Whether a restart begins after this step."""
        if failing <= _FAILING:
            return False
        if self._next is None:
            self._next = step + round(self._rng.uniform(0.6, 1.4) * every_minutes * STEPS_A_MINUTE)
        if step < self._next:
            return False
        self._next, self._since = None, 0
        return True
