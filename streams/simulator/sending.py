"""Slices of a scenario to Kafka, at full speed or at a multiple of the clock.

kafka-python reckons checksums in Python unless the package ``crc32c`` is installed: 10,000 records a second without it, 40,000 with it.
"""

import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import msgspec
from kafka import KafkaProducer
from kafka.codec import has_lz4
from kafka.errors import KafkaError
from kafka.partitioner.default import murmur2
from kafka.producer.future import FutureRecordMetadata

from streams.events import ClockTick
from streams.simulator.playing import Records, Slice, Tally

_PROGRESS_SECONDS = 0.2
_ACKNOWLEDGED_WITHIN_SECONDS = 120

_TOGETHER = 20_000
"""Records queued before a flush at full speed: bounds memory and hides the broker's answering time."""

_SLICES_TOGETHER = 36

# The sending thread competes with the queueing one for the interpreter, so it sleeps until a batch is full or flushed.
_LINGER_MS = 60_000
_BATCH_BYTES = 800_000


class SendError(Exception):
    """The broker did not take a record; the message says which topic and why."""


@dataclass(frozen=True)
class Progress:
    """How far sending is: records sent, about how many there are (0: unknown), the scenario's clock, records a second so far."""

    sent: int
    total: int
    scenario_time: datetime
    rate: float


@dataclass(frozen=True)
class Sent:
    """What the broker has acknowledged, by topic of the contract, with ``tally`` from the columns that were sent; ``until`` is the last tick's time.

    Records count duplicates and malformed ones too, the tally's events and KRW do not.
    """

    records: Mapping[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    until: datetime | None = None
    seconds: float = 0.0


def send(
    slices: Iterable[Slice],
    bootstrap: str,
    settings_topic: Callable[[str], str],
    *,
    speed: float | None = None,
    pace_from: datetime | None = None,
    total: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Sent:
    """Send slices in order; after each one is acknowledged, send the tick that says so to the topic ``clock``.

    With a ``speed``, slices that end after ``pace_from`` (default: all) are sent when their time has come on a clock that runs ``speed`` times as
    fast as the wall's. ``stop`` is asked before each slice and while waiting; a slice is sent whole or not at all.

    Raises:
        SendError: the broker could not be reached or refused a record.
    """
    _check_reachable(bootstrap)
    try:
        producer = KafkaProducer(
            bootstrap_servers=bootstrap.split(","),
            acks="all",
            enable_idempotence=True,
            linger_ms=_LINGER_MS,
            batch_size=_BATCH_BYTES,
            compression_type="lz4" if has_lz4() else None,
        )
    except KafkaError as error:
        raise SendError(f"{bootstrap} does not answer as a Kafka broker does: {error}") from error
    line = _Line(producer, settings_topic)
    began, told = time.monotonic(), 0.0
    paced: tuple[float, datetime] | None = None
    stopped = stop or (lambda: False)
    try:
        for one in slices:
            if speed is not None and (pace_from is None or one.until > pace_from):
                line.confirm()
                paced = paced or (time.monotonic(), one.until)
                _wait_until(paced[0] + (one.until - paced[1]).total_seconds() / speed, stopped)
            if stopped():
                break
            line.put(one)
            if paced is not None or line.waiting >= _TOGETHER or line.slices >= _SLICES_TOGETHER:
                line.confirm()
            now = time.monotonic()
            if on_progress is not None and now - told >= _PROGRESS_SECONDS:
                told = now
                on_progress(Progress(line.count, total, one.until, line.count / max(now - began, 1e-9)))
        line.confirm()
        if on_progress is not None and line.until is not None:
            on_progress(Progress(line.count, total, line.until, line.count / max(time.monotonic() - began, 1e-9)))
        return Sent(dict(line.records), line.tally, line.until, time.monotonic() - began)
    except KafkaError as error:
        raise SendError(f"{bootstrap} stopped taking records after {line.count}: {type(error).__name__}: {error}") from error
    finally:
        producer.close(timeout=30)


class _Line:
    """The way to the broker: slices are queued, then acknowledged together, then each one's tick is sent."""

    def __init__(self, producer: KafkaProducer, topic_name: Callable[[str], str]) -> None:
        self._producer = producer
        self._name = topic_name
        self._partitions: dict[str, list[int]] = {}
        self._waiting: list[Slice] = []
        self._futures: list[FutureRecordMetadata] = []
        self.records: Counter[str] = Counter()
        self.tally = Tally()
        self.until: datetime | None = None

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
            self.until = one.until
            now = int(one.until.timestamp() * 1000)
            tick = msgspec.json.encode(ClockTick(now=now))
            self._futures.append(self._producer.send(self._name("clock"), tick, b"clock", partition=0, timestamp_ms=now))
        self._waiting.clear()
        self._flush()

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


def _check_reachable(bootstrap: str) -> None:
    """Ask for a plain connection first: kafka-python alone would try for half a minute."""
    reasons = []
    for broker in bootstrap.split(","):
        host, _, port = broker.strip().rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except OSError as error:
            reasons.append(f"{broker}: {error}")
        else:
            return
    raise SendError(f"No broker answers ({'; '.join(reasons)}). Start one with: onnuri broker")


def _wait_until(moment: float, stopped: Callable[[], bool]) -> None:
    while not stopped() and (left := moment - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
