"""The way of slices to the broker.

kafka-python reckons checksums in Python unless the package ``crc32c`` is installed: 10,000 records a second without it, 40,000 with it.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache

import msgspec
from kafka import KafkaProducer
from kafka.codec import has_lz4
from kafka.errors import KafkaError
from kafka.partitioner.default import murmur2
from kafka.producer.future import FutureRecordMetadata

from streams.events import ClockTick
from streams.simulator.playing import Records, Slice
from streams.simulator.tally import Tally
from warehouse.access import PLAIN, Access

_ACKNOWLEDGED_WITHIN_SECONDS = 120

# The sending thread competes with the queueing one for the interpreter, so it sleeps until a batch is full or flushed.
_LINGER_MS = 60_000
_BATCH_BYTES = 800_000


class SendError(Exception):
    """The broker did not take a record; the message says which topic and why."""


class Line:
    """The way to the broker: slices are queued, then acknowledged together, then each one's tick is sent."""

    def __init__(self, bootstrap: str, topic_name: Callable[[str], str], access: Access = PLAIN) -> None:
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=bootstrap.split(","),
                acks="all",
                enable_idempotence=True,
                linger_ms=_LINGER_MS,
                batch_size=_BATCH_BYTES,
                compression_type="lz4" if has_lz4() else None,
                **access.arguments(),
            )
        except KafkaError as error:
            raise SendError(f"{bootstrap} does not answer as a Kafka broker does: {error}") from error
        self._name = topic_name
        self._partitions: dict[str, list[int]] = {}
        self._waiting: list[Slice] = []
        self._futures: list[FutureRecordMetadata] = []
        self.records: Counter[str] = Counter()
        self.tally = Tally()
        self._last: Slice | None = None

    @property
    def until(self) -> datetime | None:
        """The time of the last tick."""
        return self._last.until if self._last else None

    @property
    def waiting(self) -> int:
        """Records queued and not known to be acknowledged."""
        return len(self._futures)

    @property
    def slices(self) -> int:
        """Slices queued and not known to be acknowledged."""
        return len(self._waiting)

    @property
    def count(self) -> int:
        """Records acknowledged."""
        return self.records.total()

    def put(self, one: Slice) -> None:
        """Queue a slice."""
        self._waiting.append(one)
        for topic, records in one.records.items():
            self._futures += self._queue(self._name(topic), records)

    def confirm(self) -> None:
        """Wait until everything queued is acknowledged, then send the ticks of its slices."""
        self._flush()
        for one in self._waiting:
            self.records.update({topic: len(records) for topic, records in one.records.items()})
            self.tally += one.tally
            self._last = one
            now = int(one.until.timestamp() * 1000)
            tick = msgspec.json.encode(ClockTick(now=now))
            self._futures.append(self._producer.send(self._name("clock"), tick, b"clock", partition=0, timestamp_ms=now))
        self._waiting.clear()
        self._flush()

    def close(self) -> None:
        """Let go of the broker; what was not confirmed may be lost."""
        self._producer.close(timeout=30)

    def _queue(self, topic: str, records: Records) -> list[FutureRecordMetadata]:
        if topic not in self._partitions:
            self._partitions[topic] = sorted(self._producer.partitions_for(topic))
        partitions, send = self._partitions[topic], self._producer.send
        count = len(partitions)
        rows = zip(records.keys, records.values, records.send_times_ms, strict=True)
        return [send(topic, value, key, None, partitions[_hash(key) % count], at) for key, value, at in rows]

    def _flush(self) -> None:
        self._producer.flush(timeout=_ACKNOWLEDGED_WITHIN_SECONDS)
        for future in self._futures:
            if future.failed():
                raise SendError(f"The broker did not take a record: {type(future.exception).__name__}: {future.exception}")
        self._futures.clear()


@lru_cache(maxsize=65_536)
def _hash(key: bytes) -> int:
    """Kafka's own choice of a partition by key, remembered because it is slow in Python."""
    return int(murmur2(key)) & 0x7FFFFFFF
