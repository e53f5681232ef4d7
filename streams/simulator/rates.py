"""What an incident says as rates, by the steps of a day."""

from datetime import date, datetime, time, timedelta

import numpy as np

from streams.simulator.chance import draws
from streams.simulator.happenings import Incident
from streams.simulator.platform_time import STEPS
from streams.simulator.scenario import KST, Scenario

_QUEUE_SECONDS = 180.0
"""How long it takes from the first queue until most are held in it."""


def rates(scenario: Scenario, incident: Incident, day: date, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The shares of payment attempts that fail, and of buyers who are admitted; ``number`` tells incidents apart."""
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
