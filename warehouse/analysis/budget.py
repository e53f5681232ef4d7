"""How often detection may be wrong, how that is shared out, and what it is wrong about."""

import math
from dataclasses import dataclass

import numpy as np

from warehouse.analysis.panel import Array

SHARES = {"nation": 0.5, "region": 0.15, "channel": 0.1, "issuer": 0.1, "service": 0.05, "market": 0.1}
"""False alarms a week that each kind of stream may raise, one in all: the union bound with weights (Genovese, Roeder, Wasserman 2006)."""

INDEPENDENT = 0.5
"""Alarms of a stream in a step over exp(-alarm): windows overlap from step to step, and Chernoff's bound is not met."""

WEEK = 10_080

LONGEST_MINUTES = 360
"""Windows end here, but hold three steps at least: over longer ones, expectations are off by more than a level that strays."""


def reaching(widths: tuple[int, ...], step: int) -> tuple[int, ...]:
    """Those of ``widths`` (steps of ``step`` minutes) that are not too long."""
    return tuple(width for width in widths if width <= 3 or width * step <= LONGEST_MINUTES)


@dataclass(frozen=True)
class Drift:
    """How ordinary sales stray: relative variance of the level's change in a step, of the nation and of its parts, and variance over mean of sales in a step.

    ``day`` is the relative variance of a whole day's level of the nation around its expectation. ``nation_tail`` and ``part_tail`` say by
    how much alarms are raised because ordinary days stray further than that at times, ``day_tail`` the same of the nation where it is held
    against the level of a whole day.
    """

    nation: float = 8e-4
    part: float = 1.2e-3
    dispersion: float = 1.0
    nation_tail: float = 0.0
    part_tail: float = 0.0
    day: float = 0.0625
    day_tail: float = 0.0


def alarm_at(scope: str, streams: int, step: int = 1) -> float:
    """The exponent at which one of ``streams`` streams of a scope alarms in a test at every step (minutes)."""
    return math.log(INDEPENDENT * WEEK / step * streams / SHARES.get(scope, SHARES["region"]))


def alarms_at(names: list[tuple[str, str]], step: int = 1) -> Array:
    """The same for each stream of (scope, name)."""
    scopes = [scope for scope, _ in names]
    return np.array([alarm_at(scope, scopes.count(scope), step) for scope in scopes])
