"""Columns to the JSON bytes of the wire contract, a column at a time, in the order of sending."""

import numpy as np
import polars as pl

from streams.simulator.chance import draws
from streams.simulator.days import Day
from streams.simulator.load import load_frame
from streams.simulator.records import error_frame, payment_frame
from streams.simulator.scenario import Scenario

_PAYMENT = (
    *("event_id", "purchase_id", "attempt", "occurred_at", "market_id", "merchant_id", "user_id"),
    *("channel", "status", "amount", "response_code", "issuer", "latency_ms", "reverses"),
)
_ERROR = (
    *("event_id", "occurred_at", "service", "code", "purchase_id", "attempt", "market_id", "merchant_id"),
    *("user_id", "channel", "amount", "issuer"),
)
_LOAD = ("occurred_at", "service", "attempts", "succeeded", "failed", "abandoned", "queue_length", "wait_ms_p50", "wait_ms_p95")

SLOWEST_SEND_MS = 5_000
"""The longest time from an event to its sending."""


def topics_of_day(scenario: Scenario, markets: pl.DataFrame, day: Day) -> dict[str, pl.DataFrame]:
    """A day's records by topic, each in the order of sending.

    Columns: send_at (epoch ms), key and value (bytes), outcome (``approved``, ``approved_after_all``, ``declined``, ``reversed``, ``failed``,
    or null for what is none of these), amount (KRW, 0 where there is none). Everything is sent after it happened, within five seconds and before the day's end.
    """
    failed = pl.when(pl.col("service") == "payment").then(pl.lit("failed"))
    sent_payment, sent_error = (
        tuple(field for field in fields if scenario.platform.sends_purchase_id or field not in {"purchase_id", "attempt"}) for fields in (_PAYMENT, _ERROR)
    )
    payments = payment_frame(scenario, markets, day)
    if not scenario.platform.sends_purchase_id:
        # Nobody can know that this approval belongs to that timeout.
        payments = payments.with_columns(outcome=pl.col("outcome").replace("approved_after_all", "approved"))
    made = {
        "payments": _encoded(payments, sent_payment, key="market_id", outcome=pl.col("outcome"), amount=pl.col("amount")),
        "errors": _encoded(
            error_frame(scenario, markets, day), sent_error, key="market_id", outcome=failed, amount=pl.col("amount").fill_null(0), other_key="user_id"
        ),
        "service_load": _encoded(load_frame(scenario, day), _LOAD, key="service", outcome=pl.lit(None, pl.String), amount=pl.lit(0)),
    }
    closes = day.midnight + scenario.hours[1] * 3_600_000
    return {topic: _in_order_of_sending(scenario, day, topic, frame, closes) for topic, frame in made.items()}


def json_value(frame: pl.DataFrame, fields: tuple[str, ...]) -> pl.Expr:
    """One compact JSON object a row; nulls are left out. The first field is never null, and no text needs escaping."""
    parts: list[pl.Expr] = []
    for number, field in enumerate(fields):
        column = pl.col(field)
        opening = f'{"," if number else "{"}"{field}":'
        text = frame.schema[field] == pl.String
        part = pl.concat_str(pl.lit(opening + '"'), column, pl.lit('"')) if text else pl.concat_str(pl.lit(opening), column)
        parts.append(part.fill_null("") if frame[field].null_count() else part)
    return pl.concat_str(*parts, pl.lit("}"))


def _encoded(frame: pl.DataFrame, fields: tuple[str, ...], *, key: str, outcome: pl.Expr, amount: pl.Expr, other_key: str | None = None) -> pl.DataFrame:
    key_text = pl.coalesce(key, other_key) if other_key else pl.col(key)
    return frame.select(
        occurred_at=pl.col("occurred_at"),
        key=key_text.cast(pl.Binary),
        value=json_value(frame, fields).cast(pl.Binary),
        outcome=outcome,
        amount=amount.cast(pl.Int64),
    )


def _in_order_of_sending(scenario: Scenario, day: Day, topic: str, frame: pl.DataFrame, closes: int) -> pl.DataFrame:
    rng = draws(scenario.seed, f"sending {topic}", day.date.toordinal())
    delay = np.clip(rng.lognormal(5.0, 0.8, len(frame)), 10, SLOWEST_SEND_MS).astype(np.int64)
    send_at = np.minimum(frame["occurred_at"].to_numpy() + delay, closes - 1)
    return frame.with_columns(send_at=pl.Series(send_at)).sort("send_at", maintain_order=True).drop("occurred_at")
