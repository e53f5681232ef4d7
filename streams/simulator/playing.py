"""The timeline as slices of records, in the order in which they are sent."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl

from streams.simulator.commands import commands
from streams.simulator.country import country
from streams.simulator.days import played
from streams.simulator.dirt import soiled
from streams.simulator.encoding import SLOWEST_SEND_MS, topics_of_day
from streams.simulator.rhythm import national_level, promoted
from streams.simulator.scenario import Scenario
from streams.simulator.tally import Tally, tally_of

HISTORY_SLICE = timedelta(minutes=10)


@dataclass(frozen=True)
class Records:
    """Records of one topic as parallel lists, in the order of sending; send times are epoch milliseconds of the scenario's clock."""

    keys: list[bytes]
    values: list[bytes]
    send_times_ms: list[int]

    def __len__(self) -> int:
        """The number of records."""
        return len(self.keys)


@dataclass(frozen=True)
class Slice:
    """All that is sent up to a moment: with it, everything that occurred before ``until`` has been sent."""

    until: datetime
    records: Mapping[str, Records] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)


def play(scenario: Scenario, *, slice_seconds: float = 600.0, dirty: float = 0.0) -> Iterator[Slice]:
    """Play the scenario from its start to its end.

    Slices of the history span ten minutes, those from ``scenario.live_from`` on ``slice_seconds``; neither changes any record. ``dirty`` is the
    share of dirt of each sort (see ``dirt``) mixed in; late events break what a slice says of its ``until``. Days are made one at a time, so memory holds one day.

    Raises:
        ValueError: ``slice_seconds`` is not positive, or ``dirty`` is not a share.
    """
    if slice_seconds <= 0 or not 0 <= dirty <= 1:
        raise ValueError(f"slice_seconds must be positive and dirty within 0-1; got {slice_seconds} and {dirty}")
    return _play(scenario, timedelta(seconds=slice_seconds), dirty)


def estimated_events(scenario: Scenario) -> int:
    """About how many records a scenario has, for showing progress."""
    ordinary = scenario.demand.purchases_a_day * scenario.scale * 1.045
    days = sum(national_level(scenario, day) * float(promoted(scenario, day).mean()) for day in scenario.days)
    live = sum(scenario.opens(day) >= scenario.live_from for day in scenario.days)
    reports = 6 * 60 * (scenario.hours[1] - scenario.hours[0]) * (6 * live + len(scenario.days) - live)
    return round(float(ordinary * days + reports))


def _play(scenario: Scenario, live_step: timedelta, dirty: float) -> Iterator[Slice]:
    markets = country(scenario)
    first: dict[str, pl.DataFrame] = {"commands": _command_frame(scenario)}
    reached = scenario.start
    for day in played(scenario, markets):
        opens, closes = scenario.opens(day.date), scenario.closes(day.date)
        yield from (Slice(until.astimezone(UTC)) for until in _boundaries(reached, opens, HISTORY_SLICE))
        topics = {topic: soiled(scenario, day, topic, frame, dirty) for topic, frame in topics_of_day(scenario, markets, day).items()}
        step = live_step if opens >= scenario.live_from else HISTORY_SLICE
        yield from _slices({**first, **topics}, _boundaries(opens, closes, step))
        first, reached = {}, closes


def _boundaries(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    while start < end:
        start = min(start + step, end)
        yield start


def _slices(topics: dict[str, pl.DataFrame], boundaries: Iterator[datetime]) -> Iterator[Slice]:
    moments = [until.astimezone(UTC) for until in boundaries]
    # A record may be sent this much after it occurred, so the slice reaches as far: then its ``until`` holds.
    reach = np.array([until.timestamp() * 1000 + SLOWEST_SEND_MS for until in moments])
    reach[-1] = np.inf
    cuts = {topic: np.searchsorted(frame["send_at"].to_numpy(), reach, side="left") for topic, frame in topics.items()}
    for number, until in enumerate(moments):
        parts = {topic: frame[int(cuts[topic][number - 1]) if number else 0 : int(cuts[topic][number])] for topic, frame in topics.items()}
        parts = {topic: part for topic, part in parts.items() if len(part)}
        yield Slice(until, {topic: _records(part) for topic, part in parts.items()}, sum(map(tally_of, parts.values()), Tally()))


def _records(part: pl.DataFrame) -> Records:
    return Records(part["key"].to_list(), part["value"].to_list(), part["send_at"].to_list())


def _command_frame(scenario: Scenario) -> pl.DataFrame:
    said = commands(scenario)
    start = int(scenario.start.timestamp() * 1000)
    return pl.DataFrame(
        {
            "key": [command.command_id.encode() for command in said],
            "value": [msgspec.json.encode(command) for command in said],
            "outcome": pl.Series([None] * len(said), dtype=pl.String),
            "amount": [0] * len(said),
            "send_at": [start] * len(said),
            "dirt": pl.Series([None] * len(said), dtype=pl.String),
        }
    )
