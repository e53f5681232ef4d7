"""How much of its speed does the worker keep while every tenth message cannot be read?

The same number of messages twice, lz4-compressed in one topic each: payments of the simulator alone, and with every tenth one replaced by one that is
refused, in ten ways in turn. In turns, a worker as a process of its own with a new warehouse, until everything is published; its time counts as in
``ingest``. The totals of every turn are checked to the won, the refusals to the message, and that each is among the dead letters once.

``python -m benchmarks poison --events 300000 --turns 3``
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition

from benchmarks.ingest import Filled, Record, TotalsError, fill, payments, work
from streams.broker import EmbeddedBroker
from streams.settings import Settings
from streams.topics import ensure_topics

SHARE = 10
"""One message in so many is poison."""


def spoil(value: bytes) -> list[bytes]:
    """The ways in which a payment becomes one that is refused."""
    return [
        b"\xff\xfe" + value,
        value[:-1],
        value + value,
        value.replace(b'"amount":', b'"amount":-'),
        value.replace(b'"amount":', b'"amount":1.5,"was":'),
        value.replace(b'"amount":', b'"amount":"7","was":'),
        value[:-1] + b',"amount":1}',
        value.replace(b'"status":"', b'"status":"un'),
        value.replace(b'"market_id":', b'"market":'),
        b"[" * 5_000,
    ]


def poisoned(events: int) -> Iterator[Record]:
    """As many payments, with every tenth one spoilt."""
    way = cycle(range(len(spoil(b""))))
    for number, (key, value, at) in enumerate(payments(events)):
        yield key, spoil(value)[next(way)] if number % SHARE == 0 else value, at


def count_letters(settings: Settings) -> tuple[int, int]:
    """Dead letters, and keys among them."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False, group_id=None)
    try:
        partition = TopicPartition(settings.topic("dead-letters"), 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end, keys, letters = consumer.end_offsets([partition])[partition], set(), 0
        while consumer.position(partition) < end:
            for found in consumer.poll(timeout_ms=1000, max_records=50_000).values():
                letters += len(found)
                keys.update(record.key for record in found)
        return letters, len(keys)
    finally:
        consumer.close()


def measure(events: int, turns: int) -> tuple[float, float]:
    """Messages a second, clean and poisoned, medians of the turns.

    Raises:
        TotalsError: what was published, refused or sent to the dead letters is not what was to be.
    """
    with tempfile.TemporaryDirectory() as temporary, EmbeddedBroker() as broker:
        lines: dict[str, tuple[Settings, Filled]] = {}
        for name, records, every in (("clean.", payments(events), 0), ("poisoned.", poisoned(events), SHARE)):
            settings = Settings.read(kafka=broker.bootstrap, clock="replay", topic_prefix=name)
            ensure_topics(settings)
            lines[name] = settings, asyncio.run(fill(settings, records, poison_every=every))
        seconds: dict[str, list[float]] = {name: [] for name in lines}
        for turn in range(turns):
            for name, (settings, filled) in lines.items():
                folder = Path(temporary) / f"{name}{turn}"
                folder.mkdir()
                seconds[name].append(work(settings, filled, folder).published)
        settings, filled = lines["poisoned."]
        letters, keys = count_letters(settings)
        if (letters, keys) != (turns * filled.refused, filled.refused):
            raise TotalsError(f"{filled.refused} messages were refused in each of {turns} turns; dead-letters holds {letters} of {keys} messages.")
    clean, poison = (events / statistics.median(times) for times in seconds.values())
    return clean, poison


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Returns the exit code: 1 where the totals were wrong or the ratio is below ``--least``."""
    options = argparse.ArgumentParser(prog="python -m benchmarks poison", description="The worker's speed with a tenth of the messages unreadable.")
    options.add_argument("--events", type=int, default=300_000, help="messages in each topic (default: %(default)s)")
    options.add_argument("--turns", type=int, default=3, help="turns, of which the median counts (default: %(default)s)")
    options.add_argument("--least", type=float, default=0.0, help="fail below this share of the clean speed")
    given = options.parse_args(arguments)
    load = os.getloadavg()[0]
    try:
        clean, poison = measure(given.events, given.turns)
    except TotalsError as error:
        print(f"The totals are wrong, so nothing was measured. {error}", file=sys.stderr)
        return 1
    print(f"clean     {clean:>10,.0f} messages/s")
    print(f"poisoned  {poison:>10,.0f} messages/s: {poison / clean:.0%} of the clean speed (load before: {load:.1f})")
    return 0 if poison / clean >= given.least else 1


if __name__ == "__main__":
    sys.exit(main())
