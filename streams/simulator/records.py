"""A day's events as columns of the wire contract (``streams/events.py``)."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from streams.simulator.buyers import DECLINED, FAILED, HELD, HOLD_STAGES
from streams.simulator.chance import draws, pick, uuids
from streams.simulator.days import Day
from streams.simulator.demand import BALANCE
from streams.simulator.parts import CHANNELS, ISSUERS
from streams.simulator.platform import FAILURE_CODES
from streams.simulator.scenario import Scenario

DECLINE_CODES = ("51", "61", "55", "54", "57", "14")
"""ISO 8583 field 39: balance, limit, wrong PIN, expired card, not permitted, no such card."""

_DECLINE_WEIGHTS = [0.0, 0.4, 0.3, 0.1, 0.1, 0.1]
"""Where the balance is enough."""

_HOLD_CODES = ("queue_abandoned", "queue_abandoned", "timeout", "unavailable", "internal", "timeout")
"""Two for each of HOLD_STAGES."""

_REPORTED_ABANDONS = 0.35
"""Who leaves the queue mostly just closes the app: of only this share is there an event."""

_WHOLE_REVERSALS = 0.75


def payment_frame(scenario: Scenario, markets: pl.DataFrame, day: Day) -> pl.DataFrame:
    """A day's payments: approvals (late ones too) and declines, then reversals.

    Columns as in ``Payment``, unknown is null; and ``outcome``, the status, but ``approved_after_all`` for an approval that followed a timeout.
    """
    tried = day.actual
    rng = draws(scenario.seed, "payments", day.date.toordinal())
    decided = np.flatnonzero((tried.approved_at >= 0) | (tried.outcome == DECLINED))
    approved = tried.approved_at[decided] >= 0
    short = day.wanted.refused[tried.purchase[decided]] == BALANCE
    code = np.select([approved, short], [len(DECLINE_CODES), 0], pick(rng.random(len(decided)), _DECLINE_WEIGHTS))
    frame = _buyers(scenario, markets, day, decided).with_columns(
        event_id=uuids(rng, len(decided)),
        attempt=pl.Series(tried.attempt[decided]),
        occurred_at=pl.Series(day.midnight + np.where(approved, tried.approved_at[decided], tried.at[decided])),
        status=named(("declined", "approved"), approved),
        response_code=named((*DECLINE_CODES, "00"), code),
        latency_ms=pl.Series(np.clip(rng.lognormal(5.6, 0.5, len(decided)), 60, 9_000).astype(np.int64)),
        reverses=pl.lit(None, pl.String),
        outcome=named(("declined", "approved", "approved_after_all"), approved.astype(np.int64) + (tried.outcome[decided] == FAILED)),
    )
    return pl.concat([frame, _reversals(scenario, day, frame.filter(status="approved"))])


def error_frame(scenario: Scenario, markets: pl.DataFrame, day: Day) -> pl.DataFrame:
    """A day's errors: failed attempts to pay with all that is known, those of other services with the user alone. Columns as in ``Failure``."""
    tried = day.actual
    rng = draws(scenario.seed, "errors", day.date.toordinal())
    luck = rng.random((len(tried.at), 2))
    reported = (tried.reason != HOLD_STAGES.index("queue")) | (luck[:, 0] < _REPORTED_ABANDONS)
    seen = np.flatnonzero((tried.outcome == FAILED) | ((tried.outcome == HELD) & reported))
    failed, reason = tried.outcome[seen] == FAILED, tried.reason[seen]
    code = np.where(failed, reason, len(FAILURE_CODES) + 2 * reason + (luck[seen, 1] < 0.5))
    frame = _buyers(scenario, markets, day, seen).with_columns(
        event_id=uuids(rng, len(seen)),
        attempt=pl.Series(tried.attempt[seen]),
        occurred_at=pl.Series(day.midnight + tried.at[seen]),
        service=named((*HOLD_STAGES, "payment"), np.where(failed, len(HOLD_STAGES), reason)),
        code=named((*FAILURE_CODES, *_HOLD_CODES), code),
    )
    of_attempts = ["purchase_id", "attempt", "market_id", "merchant_id", "amount", "issuer"]
    return frame.with_columns(pl.when(pl.col("service") == "payment").then(pl.col(name)).alias(name) for name in of_attempts)


def named(names: Sequence[str], index: np.ndarray) -> pl.Series:
    """The text that each index stands for."""
    return pl.Series(names, dtype=pl.String).gather(index.astype(np.int64))


def _buyers(scenario: Scenario, markets: pl.DataFrame, day: Day, tried: np.ndarray) -> pl.DataFrame:
    """Who wanted to pay what, where and how: one row for each of the given tries."""
    wanted, purchase = day.wanted, day.actual.purchase[tried]
    ids = uuids(draws(scenario.seed, "purchases", day.date.toordinal()), len(wanted))
    frame = pl.DataFrame(
        {
            "purchase_id": ids.gather(purchase),
            "market_id": markets["market_id"].gather(wanted.market[purchase]),
            "merchant": wanted.merchant[purchase],
            "user": wanted.user[purchase],
            "anonymous": wanted.anonymous[purchase],
            "channel": named(CHANNELS, day.actual.channel[tried]),
            "amount": wanted.amount[purchase],
            "issuer": named(ISSUERS, wanted.issuer[purchase]),
        }
    )
    return frame.with_columns(
        merchant_id=pl.concat_str("market_id", pl.lit("-"), pl.col("merchant").cast(pl.String).str.zfill(4)),
        user_id=pl.when(~pl.col("anonymous")).then(pl.concat_str(pl.lit("u"), pl.col("user").cast(pl.String).str.zfill(7))),
    ).drop("merchant", "user", "anonymous")


def _reversals(scenario: Scenario, day: Day, approvals: pl.DataFrame) -> pl.DataFrame:
    """Approvals taken back on the same day, whole or in part; what would come after the day's end does not come."""
    rng = draws(scenario.seed, "reversals", day.date.toordinal())
    chosen = np.flatnonzero(rng.random(len(approvals)) < scenario.platform.reversal_rate)
    taken = approvals[chosen]
    amount = taken["amount"].to_numpy()
    part = np.maximum(100, np.floor(amount * rng.uniform(0.1, 0.9, len(taken)) / 100).astype(np.int64) * 100)
    delay = 20_000 + rng.lognormal(np.log(1_500_000), 1.0, len(taken)).astype(np.int64)
    reversals = taken.with_columns(
        event_id=uuids(rng, len(taken)),
        occurred_at=pl.Series(taken["occurred_at"].to_numpy() + delay),
        status=pl.lit("reversed"),
        outcome=pl.lit("reversed"),
        latency_ms=pl.lit(None, pl.Int64),
        reverses=pl.col("event_id"),
        amount=pl.Series(np.where(rng.random(len(taken)) < _WHOLE_REVERSALS, amount, part)),
    )
    return reversals.filter(pl.col("occurred_at") < day.midnight + scenario.hours[1] * 3_600_000)
