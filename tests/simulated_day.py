"""The launch day of the simulator as a worker publishes it, without Kafka: its records decoded, written, closed and published by the line's own functions."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

from streams.simulator import Records, Scenario, Slice, load_scenario, play
from tests.events_data import chunk
from warehouse.closing import Closing
from warehouse.ingest import Chunk, Writer
from warehouse.publishing import Publisher

SEOUL = ZoneInfo("Asia/Seoul")
UNTIL = datetime(2025, 3, 1, 20, 0, tzinfo=SEOUL)
"""In the evening, while nothing works yet."""

SCALE, HISTORY_DAYS = 0.1, 15
RAW_DAYS = 3
LATENESS = timedelta(minutes=1)


def publish_simulated_day(folder: Path) -> Path:
    """Publish what a worker would have published at ``UNTIL``; returns the published folder."""
    scenario = load_scenario("launch-day", scale=SCALE, history_days=HISTORY_DAYS)
    writer = Writer(folder / "w.duckdb", scenario.start)
    closing = Closing(writer, LATENESS, RAW_DAYS)
    publisher = Publisher(writer.connection, folder / "published")
    offsets: dict[str, int] = {}
    for now, slices in _days(scenario):
        writer.apply([_chunk(topic, records, offsets) for topic, records in _together(slices).items()], now, _none_refused)
    # As a worker that reads a backlog: the watermark moves when all of it is there, and detection begins with the days whose single events are kept.
    closing.close((UNTIL - LATENESS).astimezone(UTC).replace(tzinfo=None))
    ends = {(topic, 0): offset for topic, offset in offsets.items()}
    # In the future, so that the state is not called old while it is looked at.
    publisher.publish(UNTIL, datetime.now(UTC) + timedelta(hours=1), ends, ends)
    writer.close()
    return folder / "published"


def _days(scenario: Scenario) -> Iterator[tuple[datetime, list[Slice]]]:
    """A day's slices at a time, with the clock after them."""
    kept = (one for one in play(scenario) if one.until <= UNTIL)
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
    made = chunk(topic, records.values, first_offset=first, sent=records.send_times_ms)
    assert not made.refused
    return made


def _none_refused(letters: list[object]) -> None:
    assert letters == []
