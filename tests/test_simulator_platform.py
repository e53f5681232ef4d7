"""A platform of limited capacity: latency, then failures, then a queue that people leave, and no recovery at the load at which it failed."""

from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.simulator import ScenarioError, country, load_scenario
from streams.simulator.days import Day, play_day
from streams.simulator.happenings import SERVICES
from streams.simulator.load import load_frame
from streams.simulator.outcomes import FAILED, HELD, HOLD_STAGES
from streams.simulator.overload import Crowd, Limits, Overload, overload
from streams.simulator.parts import World
from streams.simulator.platform_time import STEP_MS, STEPS, STEPS_A_MINUTE
from streams.simulator.retries import HOURS_LATER, MINUTES_LATER, SOON, hours_later, minutes_later, soon
from streams.simulator.service import Service
from streams.simulator.waiting_room import WaitingRoom

HOUR = 60 * STEPS_A_MINUTE
EVERYBODY = np.full(STEPS, np.inf)


def played(buyers_a_minute: np.ndarray, *, world: World | None = None, queue: float | None = None, visits: float = 0.0, **capacity: float) -> Overload:
    """A day of these buyers by the step, with these capacities a minute and no restarts unless something fails for a day."""
    services = {name: np.full(STEPS, capacity[name]) if name in capacity else EVERYBODY for name in SERVICES}
    limits = Limits(services, EVERYBODY if queue is None else np.full(STEPS, queue), np.full(STEPS, 10_000.0))
    return overload(Crowd(buyers_a_minute / STEPS_A_MINUTE, 0.0, visits), limits, world or World(), np.random.default_rng(1))


def steady(rate: float, *, more: float = 0.0, from_hour: int = 10, hours: float = 1.0) -> np.ndarray:
    """Buyers a minute: the same all day, but for some hours with more."""
    flow = np.full(STEPS, float(rate))
    flow[from_hour * HOUR : int((from_hour + hours) * HOUR)] += more
    return flow


@cache
def launch_day(scale: float = 0.3) -> Day:
    scenario = load_scenario("launch-day", history_days=0, scale=scale)
    return play_day(scenario, country(scenario), scenario.days[0])


def first(condition: np.ndarray) -> int:
    """The first step of which it is true."""
    return int(np.flatnonzero(condition)[0])


def test_below_its_capacity_a_platform_answers_at_once_and_nothing_fails():
    found = played(steady(100), payment=200)
    assert found.failed["payment"].max() == 0
    assert found.seconds["payment"].max() < 1


def test_answers_take_longer_the_closer_the_load_comes_to_the_capacity():
    seconds = [played(steady(rate), payment=200).seconds["payment"][HOUR] for rate in (100, 180, 195)]
    assert seconds == sorted(set(seconds))


def test_first_come_slow_answers_then_failures_then_a_queue():
    found = played(np.linspace(50, 250, STEPS), payment=200, queue=150)
    slow, failing, queue = first(found.seconds["payment"] > 2), first(found.failed["payment"] > 0.1), first(found.queue_length > 10)
    assert slow < failing < queue


def test_a_rush_that_is_over_leaves_a_platform_failing_at_a_load_that_it_carried_before():
    found = played(steady(160, more=80), payment=200)
    assert found.failed["payment"][9 * HOUR] < 0.01
    assert found.failed["payment"][12 * HOUR] > 0.3


def test_it_is_the_retries_that_keep_it_failing():
    worlds = (World(patience=patience, comes_back=0.0) for patience in (0.0, 0.68))
    alone, with_retries = (played(steady(130, more=75), world=world, payment=200).failed["payment"] > 0.1 for world in worlds)
    assert 0.5 * HOUR < alone.sum() < 2 * HOUR
    assert with_retries[11 * HOUR :].all()


def test_a_restart_helps_for_a_while():
    flow = steady(220)
    services = {name: np.full(STEPS, 200.0) if name == "payment" else EVERYBODY for name in SERVICES}
    crowd = Crowd(flow / STEPS_A_MINUTE, 0.0, 0.0)
    never, hourly = (overload(crowd, Limits(services, EVERYBODY, np.full(STEPS, every)), World(), np.random.default_rng(1)) for every in (10_000.0, 60.0))
    settled = slice(6 * HOUR, 20 * HOUR)
    assert hourly.failed["payment"][settled].min() < 0.6 * never.failed["payment"][settled].min()
    assert hourly.failed["payment"][settled].max() > never.failed["payment"][settled].min()


def test_the_more_wait_the_fewer_stay_and_a_queue_stops_growing():
    found = played(steady(400), payment=200, queue=150)
    assert found.stay.min() < 0.5
    assert found.queue_length[-1] == pytest.approx(found.queue_length[-HOUR], rel=0.02)
    for length in (0.0, 100.0, 10_000.0):
        room = WaitingRoom()
        room.open, room.length = True, length
        # Nobody waits longer than those before him would take if none of them left.
        assert room.wait(25.0) <= length / 150 + 1e-9


@given(requests=st.lists(st.floats(0, 1e4), min_size=1, max_size=60), capacity=st.floats(1, 1e5))
@settings(deadline=None)
def test_a_service_answers_with_shares_whatever_is_asked_of_it(requests, capacity):
    service = Service()
    for one in requests:
        answers = service.serve(one, capacity)
        assert 0 <= answers.timed_out <= 1
        assert 0 <= answers.failed <= 1 + 1e-9
        assert 0 < answers.seconds < 1000


def test_a_service_with_too_much_to_do_does_less_than_it_could():
    service, asked, capacity = Service(), 100.0, 300.0
    answers = [service.serve(asked, capacity) for _ in range(60)][-1]
    taken = asked * (1 - answers.refused)
    assert 0.3 < taken / (capacity / STEPS_A_MINUTE) < 0.8
    assert answers.timed_out > 0.1


@pytest.mark.parametrize(("draw", "steps"), [(minutes_later, MINUTES_LATER), (hours_later, HOURS_LATER)])
def test_flows_come_back_when_single_buyers_do(draw, steps):
    drawn = draw(np.linspace(0, 1, 10_001)) / STEP_MS
    assert (drawn.min(), drawn.max()) == steps
    assert drawn.mean() == pytest.approx(sum(steps) / 2)


def test_flows_come_back_soon_as_single_buyers_do():
    drawn = soon((np.arange(100_000) + 0.5) / 100_000) // STEP_MS
    assert np.bincount(drawn.astype(int), minlength=len(SOON)) / 100_000 == pytest.approx(SOON, abs=1e-4)
    assert SOON.sum() == pytest.approx(1)


def test_what_single_buyers_meet_is_what_the_flows_foretell():
    day = launch_day()
    load = day.platform.load
    assert load is not None
    paid = day.actual.outcome != HELD
    failed = day.actual.outcome == FAILED
    step = day.actual.at // STEP_MS
    for hour in range(11, 20):
        during = paid & (step >= hour * HOUR) & (step < (hour + 1) * HOUR)
        of_flows = day.platform.failure[step[during]].mean()
        assert failed[during].mean() == pytest.approx(of_flows, abs=0.03)
    # The flows know neither walks nor split amounts, yet as many come to pay.
    foretold = sum(load.failed["payment"][step[paid & (step < 20 * HOUR)]])
    assert (failed & (step < 20 * HOUR)).sum() == pytest.approx(foretold, rel=0.05)


def test_the_launch_day_fails_from_ten_is_not_restored_at_eight_and_forty_thousand_wait():
    load = launch_day(1.0).platform.load
    assert load is not None
    failing = load.failed["payment"] > 0.1
    assert first(failing) == pytest.approx(10 * HOUR, abs=15 * STEPS_A_MINUTE)
    assert failing[int(19.5 * HOUR) : 20 * HOUR].all()
    assert load.queue_length.max() == pytest.approx(40_000, rel=0.1)


def test_the_scale_changes_how_many_wait_and_not_what_fails():
    whole, part = launch_day(1.0).platform, launch_day().platform
    assert whole.load is not None
    assert part.load is not None
    assert first(part.failure > 0.1) == pytest.approx(first(whole.failure > 0.1), abs=20 * STEPS_A_MINUTE)
    assert part.load.queue_length.max() == pytest.approx(whole.load.queue_length.max(), rel=0.2)


def test_who_waits_pays_later_than_he_came_and_some_leave_the_queue():
    day = launch_day()
    waited = (day.actual.at - day.actual.came_at) / 60_000
    assert waited[day.actual.outcome != HELD].max() > 5
    left = (day.actual.outcome == HELD) & (day.actual.reason == HOLD_STAGES.index("queue"))
    assert left.sum() > 1000
    assert (waited >= 0).all()


def test_service_load_shows_the_queue_the_waits_and_every_service():
    scenario = load_scenario("launch-day", history_days=0, scale=0.3)
    loads = load_frame(scenario, launch_day())
    sums = dict(loads.group_by("service").agg(pl.col("attempts").sum()).iter_rows())
    assert set(sums) == {"login", "queue", "payment", "registration", "top_up", "refund"}
    assert min(sums.values()) > 0
    queue = loads.filter(service="queue")
    assert queue["queue_length"].max() == pytest.approx(0.3 * 40_000, rel=0.2)
    assert queue["wait_ms_p95"].max() > queue["wait_ms_p50"].max() > 5 * 60_000
    # Cards without an account go past the queue.
    tried, account = launch_day().actual, ~launch_day().wanted.anonymous
    buyers = account[tried.purchase].sum()
    visitors = launch_day().platform.load.visitors.sum() * 0.3
    assert queue["attempts"].sum() == pytest.approx(buyers + visitors, rel=0.01)
    payment = loads.filter(service="payment")
    assert payment["failed"].sum() == (launch_day().actual.outcome == FAILED).sum()


def test_an_ordinary_day_needs_no_reckoning_of_loads():
    scenario = load_scenario("holiday-rush", history_days=3, scale=0.1)
    assert play_day(scenario, country(scenario), scenario.days[0]).platform.load is None


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"capacity": ()}, "expected a \\[\\[capacity\\]\\] table"),
        ({"capacity": (load_scenario("launch-weekend").capacity[1], load_scenario("launch-weekend").capacity[0])}, "starts_at in order"),
    ],
)
def test_capacities_that_contradict_the_scenario_are_refused(changes, named):
    with pytest.raises(ScenarioError, match=named):
        load_scenario("launch-day").with_(**changes)
