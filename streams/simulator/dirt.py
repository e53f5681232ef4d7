"""Dirt on purpose: duplicates, records that nobody can read, messages of other systems, and events that come late or out of order."""

import re

import numpy as np
import polars as pl

from streams.simulator.chance import draws
from streams.simulator.days import Day
from streams.simulator.scenario import Scenario

DUPLICATE, MALFORMED, FOREIGN, LATE, OUT_OF_ORDER = "duplicate", "malformed", "foreign", "late", "out_of_order"
"""Kinds. The first three are records more, in the same numbers; the last two are the scenario's own events, sent minutes or seconds after their turn."""

SOILED = ("payments", "errors")
"""Topics whose events have an id by which a duplicate can be known."""

_LATEST_MS = 1_800_000
_LATE_FROM_MS = 300_000
_OUT_OF_ORDER_MS = 60_000


def soiled(scenario: Scenario, day: Day, topic: str, frame: pl.DataFrame, share: float) -> pl.DataFrame:
    """The records of a topic with dirt mixed in: about ``share`` of their number more, and as many of the others late or out of order.

    The frame comes with one column more, ``dirt``: the kind, or null. A record more has its kind as ``outcome`` too, and no amount. What comes late
    comes up to half an hour later, but on the same day. Topics not in SOILED stay clean.
    """
    clean = frame.with_columns(dirt=pl.lit(None, pl.String))
    if not share or topic not in SOILED or frame.is_empty():
        return clean
    rng = draws(scenario.seed, f"dirt {topic}", day.date.toordinal())
    closes = day.midnight + scenario.hours[1] * 3_600_000
    more = _records_more(rng, clean.filter(pl.Series(rng.random(len(frame)) < share)), closes)
    moved = rng.random(len(frame)) < share
    late = moved & (rng.random(len(frame)) < 0.5)
    delay = np.where(late, rng.integers(_LATE_FROM_MS, _LATEST_MS, len(frame)), rng.integers(1, _OUT_OF_ORDER_MS, len(frame)))
    send_at = np.where(moved, np.minimum(frame["send_at"].to_numpy() + delay, closes - 1), frame["send_at"].to_numpy())
    kind = pl.Series([OUT_OF_ORDER, LATE]).gather(late.astype(np.int64))
    delayed = clean.with_columns(send_at=pl.Series(send_at), dirt=pl.when(pl.Series(moved)).then(kind))
    return pl.concat([delayed, more]).sort("send_at", maintain_order=True)


def _records_more(rng: np.random.Generator, rows: pl.DataFrame, closes: int) -> pl.DataFrame:
    kind = rng.integers(0, 3, len(rows))
    send_at = np.minimum(rows["send_at"].to_numpy() + rng.integers(0, _LATEST_MS, len(rows)), closes - 1)
    how = rng.integers(0, len(_SPOIL), len(rows))
    values = [
        value if one == 0 else _SPOIL[way](value) if one == 1 else _FOREIGN[way % len(_FOREIGN)]
        for value, one, way in zip(rows["value"], kind, how, strict=True)
    ]
    named = pl.Series([DUPLICATE, MALFORMED, FOREIGN]).gather(kind)
    return rows.with_columns(value=pl.Series(values, dtype=pl.Binary), outcome=named, dirt=named, amount=pl.lit(0, pl.Int64), send_at=pl.Series(send_at))


_FOREIGN = (
    b'{"order_id":81,"sku":"A-17","quantity":2}',
    b"<payment><amount>12000</amount></payment>",
    b"\x00\x00\x00\x00\x2a\x02\x08m0001\x90\x4e",
)

_SPOIL = (
    lambda value: value[:-9],
    lambda value: b"\xff" + value,
    lambda value: re.sub(rb'"occurred_at":(\d+)', rb'"occurred_at":"\1"', value),
    lambda value: value.replace(b'"occurred_at"', b'"happened_at"'),
    lambda value: re.sub(rb'"occurred_at":(\d+)', rb'"occurred_at":\1.5', value),
    lambda _: b"null",
)
