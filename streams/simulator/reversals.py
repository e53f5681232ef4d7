"""Approvals taken back: by merchants, whole or in part, and by the network where a timeout was approved late (망취소)."""

import numpy as np
import polars as pl

from streams.simulator.chance import draws, uuids
from streams.simulator.days import Day
from streams.simulator.scenario import Scenario

_WHOLE = 0.75


def reversals(scenario: Scenario, day: Day, approvals: pl.DataFrame, cancelled_at: np.ndarray) -> list[pl.DataFrame]:
    """The day's reversals, those by merchants first; columns as those of ``approvals``.

    ``cancelled_at`` is when each approval was taken back automatically (epoch ms), else -1. What would come after the day's end does not come.
    """
    rng = draws(scenario.seed, "reversals", day.date.toordinal())
    chosen = np.flatnonzero((rng.random(len(approvals)) < scenario.platform.reversal_rate) & (cancelled_at < 0))
    taken = approvals[chosen]
    amount = taken["amount"].to_numpy()
    part = np.maximum(100, np.floor(amount * rng.uniform(0.1, 0.9, len(taken)) / 100).astype(np.int64) * 100)
    delay = 20_000 + rng.lognormal(np.log(1_500_000), 1.0, len(taken)).astype(np.int64)
    by_merchants = _taken_back(rng, taken, taken["occurred_at"].to_numpy() + delay, np.where(rng.random(len(taken)) < _WHOLE, amount, part))
    closes = day.midnight + scenario.hours[1] * 3_600_000
    late = np.flatnonzero(cancelled_at >= 0)
    automatic = _taken_back(rng, approvals[late], cancelled_at[late], approvals["amount"].to_numpy()[late])
    return [by_merchants.filter(pl.col("occurred_at") < closes), automatic]


def _taken_back(rng: np.random.Generator, approvals: pl.DataFrame, at: np.ndarray, amount: np.ndarray) -> pl.DataFrame:
    return approvals.with_columns(
        event_id=uuids(rng, len(approvals)),
        occurred_at=pl.Series(at, dtype=pl.Int64),
        status=pl.lit("reversed"),
        outcome=pl.lit("reversed"),
        latency_ms=pl.lit(None, pl.Int64),
        reverses=pl.col("event_id"),
        amount=pl.Series(amount, dtype=pl.Int64),
    )
