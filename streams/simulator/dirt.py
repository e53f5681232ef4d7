"""Dirt on purpose: exact duplicates, some much later, and records that nobody can read."""

import re

import numpy as np
import polars as pl

from streams.simulator.chance import draws
from streams.simulator.days import Day
from streams.simulator.scenario import Scenario

DUPLICATE, MALFORMED = "duplicate", "malformed"

SOILED = ("payments", "errors")
"""Topics whose events have an id by which a duplicate can be known."""

_LATEST_DUPLICATE_MS = 1_800_000


def soiled(scenario: Scenario, day: Day, topic: str, frame: pl.DataFrame, share: float) -> pl.DataFrame:
    """The records of a topic with dirt mixed in: about ``share`` of their number, half duplicates and half malformed.

    A dirty record has its kind as ``outcome`` and no amount. A duplicate comes up to half an hour after the first, but on the same day.
    Topics not in SOILED stay clean.
    """
    if not share or topic not in SOILED or frame.is_empty():
        return frame
    rng = draws(scenario.seed, f"dirt {topic}", day.date.toordinal())
    chosen = np.flatnonzero(rng.random(len(frame)) < share)
    rows = frame[chosen]
    duplicate = rng.random(len(chosen)) < 0.5
    closes = day.midnight + scenario.hours[1] * 3_600_000
    send_at = np.minimum(rows["send_at"].to_numpy() + rng.integers(0, _LATEST_DUPLICATE_MS, len(chosen)), closes - 1)
    kinds = rng.integers(0, len(_SPOIL), len(chosen))
    values = [value if again else _SPOIL[kind](value) for value, again, kind in zip(rows["value"], duplicate, kinds, strict=True)]
    dirt = rows.with_columns(
        value=pl.Series(values, dtype=pl.Binary),
        outcome=pl.Series([DUPLICATE if again else MALFORMED for again in duplicate], dtype=pl.String),
        amount=pl.lit(0, pl.Int64),
        send_at=pl.Series(send_at),
    )
    return pl.concat([frame, dirt]).sort("send_at", maintain_order=True)


_SPOIL = (
    lambda value: value[:-9],
    lambda value: b"\xff" + value,
    lambda value: re.sub(rb'"occurred_at":(\d+)', rb'"occurred_at":"\1"', value),
    lambda value: value.replace(b'"occurred_at"', b'"happened_at"'),
    lambda value: re.sub(rb'"occurred_at":(\d+)', rb'"occurred_at":\1.5', value),
    lambda _: b"null",
)
