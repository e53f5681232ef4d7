"""The launch day of the simulator as a worker publishes it, without Kafka: its records decoded, written, closed and published by the line's own functions."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl

from streams.decoding import EARLIEST_MS, Layout, Span, decode
from streams.events import CONTRACT
from streams.line import hide_users, hider
from streams.simulator import Records, Scenario, Slice, load_scenario, play
from streams.simulator.tally import Tally
from warehouse.closing import Closing
from warehouse.ingest import Chunk, Writer
from warehouse.publishing import Publisher

SEOUL = ZoneInfo("Asia/Seoul")
UNTIL = datetime(2025, 3, 1, 20, 0, tzinfo=SEOUL)
"""In the evening, while nothing works yet."""

SCALE, HISTORY_DAYS = 0.1, 15
RAW_DAYS = 3
LATENESS = timedelta(minutes=1)


def publish_simulated_day(folder: Path, *, until: datetime = UNTIL, scale: float = SCALE) -> tuple[Path, Tally]:
    """Publish what a worker would have published at ``until`` (aware); returns the published folder and what the simulator has sent by then."""
    scenario = load_scenario("launch-day", scale=scale, history_days=HISTORY_DAYS)
    writer = Writer(folder / "w.duckdb", scenario.start)
    closing = Closing(writer, LATENESS, RAW_DAYS)
    publisher = Publisher(writer.connection, folder / "published")
    offsets: dict[str, int] = {}
    tally = Tally()
    for now, slices in _days(scenario, until):
        writer.apply([_chunk(topic, records, offsets) for topic, records in _together(slices).items()], now, _none_refused)
        tally = sum((one.tally for one in slices), tally)
    # As a worker that reads a backlog: the watermark moves when all of it is there, and detection begins with the days whose single events are kept.
    closing.close((until - LATENESS).astimezone(UTC).replace(tzinfo=None))
    ends = {(topic, 0): offset for topic, offset in offsets.items()}
    # In the future, so that the state is not called old while it is looked at.
    publisher.publish(until, datetime.now(UTC) + timedelta(hours=1), ends, ends)
    writer.close()
    return folder / "published", tally


def _days(scenario: Scenario, until: datetime) -> Iterator[tuple[datetime, list[Slice]]]:
    """A day's slices at a time, with the clock after them."""
    kept = (one for one in play(scenario) if one.until <= until)
    for _, slices in groupby(kept, lambda one: (one.until.astimezone(SEOUL) - timedelta(microseconds=1)).date()):
        found = list(slices)
        yield found[-1].until, found


def _together(slices: list[Slice]) -> Mapping[str, Records]:
    topics = {topic for one in slices for topic in one.records}
    parts = {topic: [one.records[topic] for one in slices if topic in one.records] for topic in sorted(topics)}
    return {
        topic: Records(*([each for part in found for each in getattr(part, name)] for name in ("keys", "values", "send_times_ms")))
        for topic, found in parts.items()
    }


def _chunk(topic: str, records: Records, offsets: dict[str, int]) -> Chunk:
    """Records as the line hands them to the writer, following on those before."""
    first = offsets.get(topic, 0)
    offsets[topic] = first + len(records)
    decoded = decode(records.values, Layout(CONTRACT[topic]), Span(EARLIEST_MS, records.send_times_ms))
    assert not decoded.refusals
    frame = hide_users(decoded.frame.with_columns((pl.col("row") + first).alias("offset_at")), hider(b"test"))
    return Chunk(topic, 0, first, offsets[topic], frame, [])


def _none_refused(letters: list[object]) -> None:
    assert letters == []
