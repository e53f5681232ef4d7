"""What each service reports about itself: the denominators that errors alone do not have."""

import numpy as np
import polars as pl

from streams.simulator.chance import draws
from streams.simulator.days import Day
from streams.simulator.outcomes import FAILED, HELD, HOLD_STAGES
from streams.simulator.overload import REGISTERS, VISITORS_USE
from streams.simulator.platform import first_tries
from streams.simulator.platform_time import STEP_MS, STEPS, STEPS_A_MINUTE
from streams.simulator.scenario import Scenario

_LONGEST_QUEUE = 45_000
"""People waiting where an incident's rate lets nobody through, at scale 1: most of them want to look, register or top up and are no purchase."""

_LONGEST_WAIT_MINUTES = 40
_ORDINARY_SECONDS = 0.4
_MEDIAN, _MOST = np.log(2), np.log(20)
"""Quantiles of an exponential wait, in means."""


def load_frame(scenario: Scenario, day: Day) -> pl.DataFrame:
    """Reports of the day, columns as in ``ServiceLoad``: every ten seconds from ``scenario.live_from`` on, every minute in the history before.

    A buyer with an account passes queue and login, with some probability registration, and payment; one without goes straight to payment; visitors pass queue and login and ask for something else.
    Attempts and failures of ``payment`` are exactly those of the topics, the others are draws around mean flows. Waits are milliseconds. A report is stamped with
    the last millisecond of its step.
    """
    tried, load, scale = day.actual, day.platform.load, scenario.scale
    rng = draws(scenario.seed, "load", day.date.toordinal())
    came, step = tried.came_at // STEP_MS, tried.at // STEP_MS
    has_account = ~day.wanted.anonymous[tried.purchase]
    held = [(tried.outcome == HELD) & (tried.reason == stage) for stage in range(len(HOLD_STAGES))]
    left, at_login, at_registration = (_count(step[one]) for one in held)
    paying = tried.outcome != HELD
    registering = _count(step[paying & has_account & (rng.random(len(step)) < REGISTERS)]) + at_registration

    visits = scenario.launch.visits if scenario.launch and scenario.launched(day.date) else scenario.demand.visits
    flow, stays = (load.visitors * scale, load.visitors_stay) if load else (first_tries(day.wanted) * visits, np.ones(STEPS))
    stays = np.minimum(stays, 1 - day.platform.closed)
    visitors = rng.poisson(flow)
    visitors_left = rng.binomial(visitors, 1 - stays)
    let_in = rng.poisson(load.visitors_in * scale) if load else visitors - visitors_left
    waits = np.maximum(load.wait if load else 0.0, _LONGEST_WAIT_MINUTES * day.platform.closed) * 60
    waiting = np.maximum(load.queue_length if load else 0.0, _LONGEST_QUEUE * day.platform.closed) * scale
    failing = {name: load.failed[name] if load else np.zeros(STEPS) for name in VISITORS_USE}
    refused = {"login": rng.binomial(let_in, failing["login"])}
    asks = {name: rng.binomial(let_in - refused["login"], share) for name, share in VISITORS_USE.items() if name != "login"}
    refused |= {name: rng.binomial(asked, failing[name]) for name, asked in asks.items()}

    rows = {
        "queue": (_count(came[has_account]) + visitors, np.zeros(STEPS, np.int64), left + visitors_left),
        "login": (_count(step[has_account]) - left + let_in, at_login + refused["login"], None),
        "payment": (_count(step[paying]), _count(step[tried.outcome == FAILED]), None),
        "registration": (registering + asks["registration"], at_registration + refused["registration"], None),
        "top_up": (asks["top_up"], refused["top_up"], None),
        "refund": (asks["refund"], refused["refund"], None),
    }
    steps_a_report = 1 if scenario.opens(day.date) >= scenario.live_from else STEPS_A_MINUTE
    reports = []
    for service, (attempts, failed, abandoned) in rows.items():
        seconds = waits if service == "queue" else load.seconds[service] if load else np.full(STEPS, _ORDINARY_SECONDS)
        length = np.round(waiting * rng.uniform(0.95, 1.05, STEPS)).astype(np.int64) if service == "queue" else np.zeros(STEPS, np.int64)
        reports.append(_reports(service, steps_a_report, attempts, failed, np.zeros(STEPS, np.int64) if abandoned is None else abandoned, length, seconds))
    end_of_step = day.midnight + (np.arange(STEPS // steps_a_report) + 1) * steps_a_report * STEP_MS - 1
    opens, closes = (day.midnight + hour * 3_600_000 for hour in scenario.hours)
    frame = pl.concat(report.with_columns(occurred_at=pl.Series(end_of_step)) for report in reports)
    return frame.filter(pl.col("occurred_at").is_between(opens, closes, closed="left"))


def _count(steps: np.ndarray) -> np.ndarray:
    return np.bincount(steps, minlength=STEPS)


def _reports(  # a report's columns
    service: str, together: int, attempts: np.ndarray, failed: np.ndarray, abandoned: np.ndarray, length: np.ndarray, seconds: np.ndarray
) -> pl.DataFrame:
    attempts, failed, abandoned = (values.reshape(-1, together).sum(axis=1) for values in (attempts, failed, abandoned))
    mean_ms = seconds.reshape(-1, together).mean(axis=1) * 1000
    return pl.DataFrame(
        {
            "service": [service] * len(attempts),
            "attempts": attempts,
            # Who comes waits: in a step more may leave, or be let in, than come.
            "succeeded": np.maximum(attempts - failed - abandoned, 0),
            "failed": failed,
            "abandoned": abandoned,
            "queue_length": length.reshape(-1, together)[:, -1],
            "wait_ms_p50": np.round(mean_ms * _MEDIAN).astype(np.int64),
            "wait_ms_p95": np.round(mean_ms * _MOST).astype(np.int64),
        }
    )
