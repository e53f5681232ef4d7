"""What load does to a platform of limited capacity, every ten seconds of a day.

A fluid model of mean flows at scale 1, step by step, because what fails now is the load of the next minutes: buyers and visitors come, wait in the waiting room
once it is open, ask the services (``service``), and try again. Single purchases are drawn afterwards against the shares found here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from typing import NamedTuple

import numpy as np

from streams.simulator.flows import Flow
from streams.simulator.happenings import SERVICES
from streams.simulator.parts import World
from streams.simulator.platform_time import STEPS, STEPS_A_MINUTE
from streams.simulator.restarts import Operator
from streams.simulator.retries import GENERATIONS, HOURS_LATER, MINUTES_LATER, SOON, patience
from streams.simulator.service import Answers, Service
from streams.simulator.waiting_room import BUYERS_WAIT, VISITORS_WAIT, WaitingRoom

REGISTERS = 0.3
"""The share of buyers with an account who must register it before they pay."""

VISITORS_USE = {"login": 1.0, "registration": 0.35, "top_up": 0.25, "refund": 0.03}
"""What a visitor who is let in asks for, after login."""

_VISITORS_PATIENCE = 0.6


class Crowd(NamedTuple):
    """Who comes, at scale 1: buyers who try for the first time, people a step; the share of them without an account; visitors a buyer."""

    buyers: np.ndarray
    anonymous: float
    visits: float

    def asks(self) -> dict[str, np.ndarray]:
        """What is asked of each of the SERVICES a step, while nobody tries again."""
        visitors, with_account = self.buyers * self.visits, self.buyers * (1 - self.anonymous)
        by_buyers = {"login": with_account, "registration": with_account * REGISTERS, "payment": self.buyers}
        return {name: by_buyers.get(name, 0.0) + visitors * VISITORS_USE.get(name, 0.0) for name in SERVICES}


class Limits(NamedTuple):
    """Requests a minute that each of the SERVICES takes, people let in a minute (inf: all), and minutes between restarts, one number a step."""

    services: dict[str, np.ndarray]
    queue: np.ndarray
    restart_every: np.ndarray


@dataclass(frozen=True)
class Overload:
    """A day by steps. ``stay`` and ``visitors_stay`` are the shares of those who come that wait until they are let in, after ``wait`` minutes.

    ``visitors`` come to look, register, top up or for a refund, ``visitors_in`` are those let in. ``failed`` are shares of requests and ``seconds`` the mean time of
    an answer, by service; ``timed_out`` is the part of failed payments that timed out.
    """

    stay: np.ndarray
    visitors_stay: np.ndarray
    wait: np.ndarray
    queue_length: np.ndarray
    visitors: np.ndarray
    visitors_in: np.ndarray
    timed_out: np.ndarray
    failed: dict[str, np.ndarray]
    seconds: dict[str, np.ndarray]

    @classmethod
    def empty(cls) -> "Overload":
        """A day before its first step."""
        stay, visitors_stay, wait, length, visitors, visitors_in, timed_out = np.zeros((7, STEPS))
        failed, seconds = ({name: np.zeros(STEPS) for name in SERVICES} for _ in range(2))
        return cls(stay, visitors_stay, wait, length, visitors, visitors_in, timed_out, failed, seconds)


class _Buyers:
    """Who wants to pay: on the way to the waiting room, to the payment, or, without an account, straight to it."""

    def __init__(self, crowd: Crowd, world: World) -> None:
        self.waiting = Flow(crowd.buyers * (1 - crowd.anonymous), GENERATIONS)
        self.let_in = Flow(np.zeros(STEPS), GENERATIONS)
        self.at_till = Flow(crowd.buyers * crowd.anonymous, GENERATIONS)
        self._patience, self._comes_back = patience(world.patience), world.comes_back

    def held(self, people: np.ndarray, step: int) -> None:
        """Let who did not get as far as paying come back, or not."""
        self.waiting.come_back_evenly(people * self._patience, step + MINUTES_LATER[0], step + MINUTES_LATER[1])
        self._hours_later(self.waiting, people, step)

    def failed(self, flow: Flow, people: np.ndarray, step: int) -> None:
        """Let those whose payment failed come back, or not."""
        flow.come_back(people * self._patience, step, SOON)
        self._hours_later(flow, people, step)

    def _hours_later(self, flow: Flow, people: np.ndarray, step: int) -> None:
        flow.come_back_evenly(people * self._comes_back, step + HOURS_LATER[0], step + HOURS_LATER[1])


class _Visitors:
    """Who comes to look, register, top up or for a refund; those who come back are as patient as at first."""

    def __init__(self, crowd: Crowd) -> None:
        self.waiting = Flow(crowd.buyers * crowd.visits, 2)
        self.let_in = Flow(np.zeros(STEPS), 1)

    def turned_away(self, people: float, step: int) -> None:
        """Let who got nothing come back, or not."""
        self.waiting.come_back_evenly(np.array([people * _VISITORS_PATIENCE, 0.0]), step + MINUTES_LATER[0], step + MINUTES_LATER[1])


def overload(crowd: Crowd, limits: Limits, world: World, rng: np.random.Generator) -> Overload:
    """Play a day's mean flows against the platform's limits."""
    buyers, visitors = _Buyers(crowd, world), _Visitors(crowd)
    room, operator, services = WaitingRoom(), Operator(rng), {name: Service() for name in SERVICES}
    capacities = {name: values.tolist() for name, values in limits.services.items()}
    found = Overload.empty()
    for step in range(STEPS):
        capacity_left = operator.capacity_left()
        _before_the_door(found, step, buyers, visitors, room, limits.queue[step] / STEPS_A_MINUTE)
        room.let_in(0.0 if operator.restarting else limits.queue[step] / STEPS_A_MINUTE * capacity_left)
        found.queue_length[step] = room.length

        def ask(name: str, requests: float, step: int = step, capacity_left: float = capacity_left) -> Answers:
            answers = services[name].serve(requests, capacities[name][step] * capacity_left)
            found.failed[name][step], found.seconds[name][step] = answers.failed, answers.seconds
            return answers

        worst = _behind_the_door(found, step, buyers, visitors, ask)
        room.look(worst)
        if operator.restarts(step, worst, limits.restart_every[step]):
            for service in services.values():
                service.restart()
    return found


def _before_the_door(found: Overload, step: int, buyers: _Buyers, visitors: _Visitors, room: WaitingRoom, rate: float) -> None:
    """Let people come to the waiting room, wait, or leave it half-way; ``rate`` people are let in a step."""
    buying, visiting = buyers.waiting.now(step), float(visitors.waiting.now(step).sum())
    wait = room.wait(rate)
    stay, visitors_stay = exp(-wait / BUYERS_WAIT), exp(-wait / VISITORS_WAIT)
    steps = round(wait * STEPS_A_MINUTE)
    buyers.let_in.put(step + steps, buying * stay)
    visitors.let_in.put(step + steps, np.array([visiting * visitors_stay]))
    if steps:
        buyers.held(buying * (1 - stay), step + steps // 2)
        visitors.turned_away(visiting * (1 - visitors_stay), step + steps // 2)
    room.come(buying.sum() + visiting)
    found.stay[step], found.visitors_stay[step], found.wait[step] = stay, visitors_stay, wait
    found.visitors[step] = visiting


def _behind_the_door(found: Overload, step: int, buyers: _Buyers, visitors: _Visitors, ask: Callable[[str, float], Answers]) -> float:
    """Let those who are in ask the services; returns the largest share of failures that makes an operator act."""
    to_pay, looking = buyers.let_in.now(step), float(visitors.let_in.now(step).sum())
    found.visitors_in[step] = looking
    with_account = float(to_pay.sum())
    login = ask("login", with_account + looking)
    if login.failed:
        visitors.turned_away(looking * login.failed, step)
        looking *= 1 - login.failed
    registration = ask("registration", with_account * (1 - login.failed) * REGISTERS + looking * VISITORS_USE["registration"])
    for name in ("top_up", "refund"):
        ask(name, looking * VISITORS_USE[name])
    ready = to_pay
    if login.failed or registration.failed:
        ready = to_pay * (1 - login.failed) * (1 - REGISTERS * registration.failed)
        buyers.held(to_pay - ready, step)
    tills = buyers.at_till.now(step)
    payment = ask("payment", float(ready.sum() + tills.sum()))
    found.timed_out[step] = payment.timed_out
    if payment.failed:
        buyers.failed(buyers.waiting, ready * payment.failed, step)
        buyers.failed(buyers.at_till, tills * payment.failed, step)
    return max(payment.failed, login.failed)
