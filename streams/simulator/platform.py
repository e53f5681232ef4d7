"""How well the platform works, every ten seconds of a day."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np

from streams.simulator.chance import draws
from streams.simulator.happenings import Incident
from streams.simulator.scenario import KST, Scenario

STEP_MS = 10_000
STEPS = 8_640

FAILURE_CODES = ("timeout", "unavailable", "network", "internal", "maintenance")

_QUEUE_SECONDS = 180.0
"""How long it takes from the first queue until most are held in it."""


@dataclass(frozen=True)
class Condition:
    """Two shares a ten-second step of a day: of payment attempts that fail, and of buyers who get as far as trying to pay."""

    failure: np.ndarray
    admitted: np.ndarray
    code: np.ndarray
    """What failures of the step say: an index of FAILURE_CODES, -1 for a mixture."""
    scoped: tuple[tuple[Incident, np.ndarray], ...] = ()
    """Incidents of some regions, channels or issuers, each with the failure rate there."""


def condition(scenario: Scenario, day: date, *, incidents: bool = True) -> Condition:
    """The platform's condition on a day; without ``incidents`` it is what it would have been."""
    failure = np.full(STEPS, scenario.platform.failure_rate)
    admitted, code = np.ones(STEPS), np.full(STEPS, -1)
    scoped = []
    for number, incident in enumerate(scenario.incident if incidents else ()):
        own_failure, own_admitted = _of_incident(scenario, incident, day, number)
        if incident.scoped:
            scoped.append((incident, own_failure))
            continue
        if incident.code:
            code = np.where(own_failure > failure, FAILURE_CODES.index(incident.code), code)
        failure, admitted = np.maximum(failure, own_failure), np.minimum(admitted, own_admitted)
    return Condition(failure, admitted, code, tuple(scoped))


def _of_incident(scenario: Scenario, incident: Incident, day: date, number: int) -> tuple[np.ndarray, np.ndarray]:
    midnight = datetime.combine(day, time(), KST)
    since = np.arange(STEPS) * 10.0 - (incident.starts_at - midnight) / timedelta(seconds=1)
    during = (since >= 0) & (np.arange(STEPS) * 10.0 < (incident.ends_at - midnight) / timedelta(seconds=1))
    climb = incident.climb_minutes * 60
    risen = np.clip(since / climb, 0, 1) if climb else np.ones(STEPS)
    held = np.clip((since - climb) / _QUEUE_SECONDS, 0, 1)
    rng = draws(scenario.seed, "condition", day.toordinal(), number)
    wobble = np.interp(np.arange(STEPS), np.arange(0, STEPS + 30, 30), rng.uniform(0.8, 1.2, STEPS // 30 + 1))
    relieved = np.where(_relief(incident, since, rng), 1 - incident.relief, 1.0)
    # A rate of 1 is a service that is switched off: nothing gets through it.
    wobbling = np.clip(incident.failure_rate * wobble, 0, 0.98) if incident.failure_rate < 1 else np.ones(STEPS)
    failure = wobbling * risen * relieved
    admitted = 1 - (1 - np.clip(incident.admitted * wobble, 0, 1)) * held * relieved
    return np.where(during, failure, 0.0), np.where(during, admitted, 1.0)


def _relief(incident: Incident, since: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The steps in which it works half-way: partial restarts that do not hold."""
    relieved = np.zeros(STEPS, dtype=bool)
    if not incident.relief_every_minutes or not incident.relief_minutes:
        return relieved
    at = 0.0
    for gap, length in zip(rng.uniform(0.6, 1.4, 400), rng.uniform(0.6, 1.4, 400), strict=True):
        at += gap * incident.relief_every_minutes * 60
        relieved |= (since >= at) & (since < at + length * incident.relief_minutes * 60)
    return relieved
