"""What each service reports about itself every ten seconds of the launch day: the denominators that errors alone do not have."""

import numpy as np
import polars as pl

from streams.simulator.buyers import FAILED, HELD, HOLD_STAGES
from streams.simulator.chance import draws
from streams.simulator.days import Day
from streams.simulator.platform import STEP_MS, STEPS, condition
from streams.simulator.scenario import Scenario

_LONGEST_QUEUE = 45_000
"""People waiting where nobody is let through, at scale 1: most of them want to look, register or top up and are no purchase."""

_LONGEST_WAIT_MS = 2_400_000
_REGISTERING = 0.3


def load_frame(scenario: Scenario, day: Day) -> pl.DataFrame:
    """Reports of the day's ten-second steps, columns as in ``ServiceLoad``.

    A buyer passes queue, login and payment, and with some probability registration of the account before paying. Attempts and failures of
    ``payment`` are exactly those of the topics; waits are milliseconds.
    """
    tried = day.actual
    rng = draws(scenario.seed, "load", day.date.toordinal())
    step = tried.at // STEP_MS
    held_at = [(tried.outcome == HELD) & (tried.reason == stage) for stage in range(len(HOLD_STAGES))]
    queue, login, registration = (_count(step[held]) for held in held_at)
    paying = tried.outcome != HELD
    entered, attempts, failed = _count(step), _count(step[paying]), _count(step[tried.outcome == FAILED])
    registering = _count(step[paying & (rng.random(len(step)) < _REGISTERING)]) + registration
    closed = 1 - condition(scenario, day.date).admitted
    length = np.round(_LONGEST_QUEUE * scenario.scale * closed * rng.uniform(0.95, 1.05, STEPS)).astype(np.int64)
    wait = np.round(_LONGEST_WAIT_MS * closed).astype(np.int64)
    rows = {
        "login": _reports(entered - queue, login),
        "queue": _reports(entered, np.zeros_like(queue), abandoned=queue, queue_length=length, wait=wait),
        "payment": _reports(attempts, failed),
        "registration": _reports(registering, registration),
    }
    end_of_step = day.midnight + (np.arange(STEPS) + 1) * STEP_MS
    opens, closes = (day.midnight + hour * 3_600_000 for hour in scenario.hours)
    frame = pl.concat(report.with_columns(service=pl.lit(service), occurred_at=pl.Series(end_of_step)) for service, report in rows.items())
    # A step that ends with the day is reported a millisecond early: everything of a day happens before the day's end.
    return frame.filter(pl.col("occurred_at").is_between(opens, closes, closed="right")).with_columns(pl.col("occurred_at").clip(upper_bound=closes - 1))


def _count(steps: np.ndarray) -> np.ndarray:
    return np.bincount(steps, minlength=STEPS)


def _reports(attempts: np.ndarray, failed: np.ndarray, **more: np.ndarray) -> pl.DataFrame:
    none = np.zeros(STEPS, dtype=np.int64)
    abandoned, wait = more.get("abandoned", none), more.get("wait", none)
    return pl.DataFrame(
        {
            "attempts": attempts,
            "succeeded": attempts - failed - abandoned,
            "failed": failed,
            "abandoned": abandoned,
            "queue_length": more.get("queue_length", none),
            "wait_ms_p50": wait,
            "wait_ms_p95": wait * 2,
        }
    )
