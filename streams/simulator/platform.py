"""How well the platform works, every ten seconds of a day: what incidents say as rates, and what comes of load where capacities are given."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import numpy as np

from streams.simulator.chance import draws
from streams.simulator.demand import Wishes
from streams.simulator.happenings import SERVICES, Incident
from streams.simulator.overload import REGISTERS, Crowd, Limits, Overload, overload
from streams.simulator.platform_time import STEP_MS, STEPS, STEPS_A_MINUTE
from streams.simulator.rates import rates
from streams.simulator.scenario import KST, Scenario

FAILURE_CODES = ("timeout", "unavailable", "network", "internal", "maintenance")

TIMEOUTS = 0.5
"""The share of timeouts among failures, where nothing else is known."""

_IN_QUEUE, _AT_LOGIN = 0.75, 0.6
"""Of buyers held by an incident's rate, those in the queue; of the others, those at login."""

_SMOOTHED_MINUTES = 11
_EVER_CLOSE = 0.6
"""Load never above this share of any capacity is served as if there were none."""


@dataclass(frozen=True)
class Condition:
    """The platform by the steps of a day.

    ``failure`` is the share of payment attempts that fail, ``timeouts`` the share of timeouts among them unless ``code`` (an index of FAILURE_CODES, -1: a
    mixture) says what they all are. Of buyers, ``stay`` wait in the queue until they are let in after ``wait_ms``; of these, ``enters`` get past login and
    registration, and ``at_login`` is the share of login among those who don't. ``closed`` is what an incident's rate holds back of everybody.
    """

    failure: np.ndarray
    timeouts: np.ndarray
    code: np.ndarray
    stay: np.ndarray
    enters: np.ndarray
    at_login: np.ndarray
    wait_ms: np.ndarray
    closed: np.ndarray
    scoped: tuple[tuple[Incident, np.ndarray], ...] = ()
    """Incidents of some regions, channels or issuers, each with the failure rate there."""
    load: Overload | None = field(default=None)
    """The mean flows behind it, at scale 1, where load comes near a capacity."""


def condition(scenario: Scenario, day: date, wanted: Wishes, *, incidents: bool = True) -> Condition:
    """The platform's condition on a day; without ``incidents`` it is what it would have been, with capacity for everybody."""
    failure = np.full(STEPS, scenario.platform.failure_rate)
    admitted, code = np.ones(STEPS), np.full(STEPS, -1)
    scoped = []
    for number, incident in enumerate(scenario.incident if incidents else ()):
        if incident.overload:
            continue
        own_failure, own_admitted = rates(scenario, incident, day, number)
        if incident.scoped:
            scoped.append((incident, own_failure))
            continue
        if incident.code:
            code = np.where(own_failure > failure, FAILURE_CODES.index(incident.code), code)
        failure, admitted = np.maximum(failure, own_failure), np.minimum(admitted, own_admitted)
    stay = 1 - _IN_QUEUE * (1 - admitted)
    enters = np.divide(admitted, stay)
    found = Condition(
        failure=failure,
        timeouts=np.full(STEPS, TIMEOUTS),
        code=code,
        stay=stay,
        enters=enters,
        at_login=np.full(STEPS, _AT_LOGIN),
        wait_ms=np.zeros(STEPS, np.int64),
        closed=1 - admitted,
        scoped=tuple(scoped),
    )
    load = _load(scenario, day, wanted) if incidents else None
    return _with(found, load) if load else found


def first_tries(wanted: Wishes) -> np.ndarray:
    """Buyers who want to pay, a step, smoothed over some minutes."""
    a_minute = np.bincount(wanted.wanted_at // 60_000, minlength=STEPS // STEPS_A_MINUTE)
    smooth = np.convolve(np.pad(a_minute, _SMOOTHED_MINUTES // 2, "edge"), np.full(_SMOOTHED_MINUTES, 1 / _SMOOTHED_MINUTES), "valid")
    return np.repeat(smooth / STEPS_A_MINUTE, STEPS_A_MINUTE)


def _load(scenario: Scenario, day: date, wanted: Wishes) -> Overload | None:
    """The day's flows where the load comes near a capacity."""
    midnight = datetime.combine(day, time(), KST)
    since = [(one, max(0, round((one.starts_at - midnight) / timedelta(milliseconds=STEP_MS)))) for one in scenario.capacity]
    since = [(one, first) for one, first in since if first < STEPS]
    if not since:
        return None

    def by_step(name: str) -> np.ndarray:
        values = np.full(STEPS, np.inf)
        for one, first in since:
            given = getattr(one, name)
            values[first:] = np.inf if given is None else given
        return values

    limits = Limits({name: by_step(name) for name in SERVICES}, by_step("queue"), by_step("restart_every_minutes"))
    visits = scenario.launch.visits if scenario.launch and scenario.launched(day) else scenario.demand.visits
    crowd = Crowd(first_tries(wanted) / scenario.scale, float(wanted.anonymous.mean()) if len(wanted) else 0.0, visits)
    if all((load < _EVER_CLOSE * limits.services[name] / STEPS_A_MINUTE).all() for name, load in crowd.asks().items()):
        return None
    return overload(crowd, limits, scenario.world, draws(scenario.seed, "restarts", day.toordinal()))


def _with(found: Condition, load: Overload) -> Condition:
    """The worse of both: what incidents say, and what the load makes of the capacities."""
    login, registration, payment = (load.failed[name] for name in ("login", "registration", "payment"))
    enters = (1 - login) * (1 - REGISTERS * registration)
    overloaded = payment > found.failure
    held = load.stay * enters < found.stay * found.enters
    return Condition(
        failure=np.where(overloaded, payment, found.failure),
        timeouts=np.where(overloaded, np.divide(load.timed_out, payment, out=np.ones(STEPS), where=payment > 0), found.timeouts),
        code=np.where(overloaded, -1, found.code),
        stay=np.where(held, load.stay, found.stay),
        enters=np.where(held, enters, found.enters),
        at_login=np.where(held, np.divide(login, 1 - enters, out=np.ones(STEPS), where=enters < 1), found.at_login),
        wait_ms=np.round(load.wait * 60_000).astype(np.int64),
        closed=found.closed,
        scoped=found.scoped,
        load=load,
    )
