"""A day's events as columns of the wire contract (``streams/events.py``)."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from streams.simulator.chance import draws, pick, uuids, uuids_of
from streams.simulator.days import Day
from streams.simulator.demand import BALANCE
from streams.simulator.outcomes import DECLINED, FAILED, HELD, HOLD_STAGES, Tries
from streams.simulator.parts import CHANNELS, ISSUERS
from streams.simulator.platform import FAILURE_CODES
from streams.simulator.reversals import reversals
from streams.simulator.scenario import Scenario

DECLINE_CODES = ("51", "61", "55", "54", "57", "14")
"""ISO 8583 field 39: balance, limit, wrong PIN, expired card, not permitted, no such card."""

_DECLINE_WEIGHTS = [0.0, 0.4, 0.3, 0.1, 0.1, 0.1]
"""Where the balance is enough."""

_HOLD_CODES = ("queue_abandoned", "queue_abandoned", "timeout", "unavailable", "internal", "timeout")
"""Two for each of HOLD_STAGES."""

_REPORTED_ABANDONS = 0.35
"""Who leaves the queue mostly just closes the app: of only this share is there an event."""


def payment_frame(scenario: Scenario, markets: pl.DataFrame, day: Day) -> pl.DataFrame:
    """A day's payments: approvals (late ones too) and declines, then reversals by merchants and automatic ones.

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
    cancelled_at = np.where(tried.cancelled_at[decided] >= 0, day.midnight + tried.cancelled_at[decided], -1)
    return pl.concat([frame, *reversals(scenario, day, frame.filter(pl.Series(approved)), cancelled_at[approved])])


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
    wanted, one = day.wanted, day.actual.where(tried)
    purchase, market = one.purchase, one.market
    merchants = markets["merchants"].to_numpy()[market]
    frame = pl.DataFrame(
        {
            "purchase_id": _checkouts(scenario, day, one),
            "market_id": markets["market_id"].gather(market),
            # In another market it is another shop.
            "merchant": np.where(market == wanted.market[purchase], wanted.merchant[purchase], (wanted.merchant[purchase] - 1) % merchants + 1),
            "user": wanted.user[purchase],
            "anonymous": wanted.anonymous[purchase],
            "channel": named(CHANNELS, one.channel),
            "amount": one.amount,
            "issuer": named(ISSUERS, wanted.issuer[purchase]),
        }
    )
    return frame.with_columns(
        merchant_id=pl.concat_str("market_id", pl.lit("-"), pl.col("merchant").cast(pl.String).str.zfill(4)),
        user_id=pl.when(~pl.col("anonymous")).then(pl.concat_str(pl.lit("u"), pl.col("user").cast(pl.String).str.zfill(7))),
    ).drop("merchant", "user", "anonymous")


def _checkouts(scenario: Scenario, day: Day, one: Tries) -> pl.Series:
    """The id of each try's checkout: a purchase that is split, or moved to another market, is a new one for the platform."""
    ids = uuids(draws(scenario.seed, "purchases", day.date.toordinal()), len(day.wanted)).gather(one.purchase)
    anew = np.flatnonzero(one.leg)
    key = (np.uint64(day.date.toordinal()) << np.uint64(40)) + (one.purchase[anew].astype(np.uint64) << np.uint64(8)) + one.leg[anew].astype(np.uint64)
    return ids.scatter(anew, uuids_of(key, scenario.seed, "checkouts")) if len(anew) else ids
