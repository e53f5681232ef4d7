"""How fast do payments come out of Kafka and into the published files, against a reader that throws them away?

An embedded Kafka, one topic of lz4-compressed payments from the simulator, and in turn: aiokafka's bare ``getmany``, and our worker as a
process of its own with a new warehouse. As the reader's time counts from when it has its partitions, so does the worker's: from the first state that it
publishes, which tells how far the topic goes, to the COMMIT of the last record, which it tells Kafka. Until everything is published too, the time counts from when
it answers on /health, and from its very start. Medians of the turns; the totals of every turn are checked to the won. With ``--failures`` the failed attempts of
the same time are in a topic beside, and count as the payments do.

``python -m benchmarks ingest --events 300000 --turns 3``
"""

import argparse
import asyncio
import csv
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from kafka import KafkaAdminClient
from kafka.partitioner.default import murmur2

from benchmarks._processes import running
from streams.broker import EmbeddedBroker
from streams.demo import environment
from streams.events import Payment
from streams.ports import free_port
from streams.settings import Settings
from streams.simulator import load_scenario, play
from streams.topics import ensure_topics
from warehouse.reading import Manifest, NothingPublishedError, open_snapshot

RESULTS = Path(__file__).with_name("results.csv")
PACKAGES = ("aiokafka", "duckdb", "faust-streaming", "polars")
COLUMNS = (
    "date", "events", "reader_per_second", "committed_per_second", "worker_per_second", "worker_from_start_per_second", "ratio", "committed_ratio",
    "python", *PACKAGES, "machine", "load_before", "peak_mb", "failures",
)  # fmt: skip
PATIENCE_SECONDS = 1_800
BATCH_BYTES = 900_000
UNDER_WAY = 16
Record = tuple[bytes, bytes, int]


class TotalsError(Exception):
    """What was published is not what was sent."""


@dataclass(frozen=True)
class Filled:
    """What the topics hold: sound records, KRW by status, records that are to be refused, and how many of the sound ones are failures."""

    events: int
    krw: Mapping[str, int]
    refused: int = 0
    failures: int = 0

    def topics(self, settings: Settings) -> list[str]:
        """Those that hold something."""
        return [settings.topic(name) for name in ("payments", *["errors"] * bool(self.failures))]


def payments(events: int, scale: float = 1.0) -> Iterator[Record]:
    """Key, value and time (epoch ms) of the first payments of the launch day's history, as the simulator makes them.

    Raises:
        ValueError: the scenario has fewer.
    """
    made = (record for one in play(load_scenario("launch-day", scale=scale)) for record in _records(one.records, "payments"))
    taken = 0
    for record in islice(made, events):
        taken += 1
        yield record
    if taken < events:
        raise ValueError(f"--events is {events}, but the scenario has only {taken} payments. Give fewer.")


def failures(events: int, scale: float = 1.0) -> Iterator[Record]:
    """The same of the failed attempts of the time in which so many payments are made."""
    for one in play(load_scenario("launch-day", scale=scale)):
        yield from _records(one.records, "errors")
        events -= sum(1 for _ in _records(one.records, "payments"))
        if events <= 0:
            return


def _records(found: Mapping[str, Any], topic: str) -> Iterator[Record]:
    return zip(found[topic].keys, found[topic].values, found[topic].send_times_ms, strict=True) if topic in found else iter(())


async def fill(settings: Settings, records: Iterable[Record], *, poison_every: int = 0, failed: Iterable[Record] = ()) -> Filled:
    """Send payments in large lz4 batches, each to the partition of its key, and count them from their own JSON; one in so many is none.

    Failures are sent a few at a time, as they come: a large batch of them would be of weeks.
    """
    krw, counted = Counter[str](), Counter[bool]()
    decoder = msgspec.json.Decoder(Payment)

    def seen() -> Iterator[Record]:
        for number, (key, value, at) in enumerate(records):
            sound = not poison_every or number % poison_every > 0
            counted[sound] += 1
            if sound:
                payment = decoder.decode(value)
                krw[payment.status] += payment.amount
            yield key, value, at

    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, compression_type="lz4", max_batch_size=BATCH_BYTES, acks="all")
    await producer.start()
    try:
        await _send(producer, settings.topic("payments"), settings.partitions, seen())
        count = await _send(producer, settings.topic("errors"), settings.partitions, failed, together=10)
    finally:
        await producer.stop()
    return Filled(counted[True] + count, krw, counted[False], count)


async def _send(producer: AIOKafkaProducer, topic: str, partitions: int, records: Iterable[Record], together: int | None = None) -> int:
    """Send records in batches as large as they may be, or of so many ``together``; how many there were."""
    batches = {partition: producer.create_batch() for partition in range(partitions)}
    sent: deque[asyncio.Future[object]] = deque()
    count = 0
    for key, value, at in records:
        count += 1
        partition = _hash(key) % partitions
        if batches[partition].record_count() == together or batches[partition].append(key=key, value=value, timestamp=at) is None:
            # No more under way than a broker takes at once: all of a long topic would not fit into memory.
            if len(sent) >= UNDER_WAY:
                await sent.popleft()
            sent.append(await producer.send_batch(batches[partition], topic, partition=partition))
            batches[partition] = producer.create_batch()
            batches[partition].append(key=key, value=value, timestamp=at)
    sent += [await producer.send_batch(batch, topic, partition=partition) for partition, batch in batches.items() if batch.record_count()]
    await asyncio.gather(*sent)
    return count


@lru_cache(maxsize=65_536)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


async def read_and_throw_away(settings: Settings, filled: Filled) -> float:
    """Seconds that aiokafka takes to hand over every record, and nothing else.

    Raises:
        TotalsError: there were not as many records as were sent.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed")
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for topic in filled.topics(settings) for number in range(settings.partitions)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        began, read = time.perf_counter(), 0
        while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
            found = await consumer.getmany(timeout_ms=1000, max_records=100_000)
            read += sum(map(len, found.values()))
        seconds = time.perf_counter() - began
    finally:
        await consumer.stop()
    if read != filled.events:
        raise TotalsError(f"{filled.events} records were sent, and a bare reader found {read}.")
    return seconds


@dataclass(frozen=True)
class Work:
    """Seconds from the worker's first published state to its last COMMIT; and until it has published everything, since it answered on /health and since its start."""

    committed: float
    published: float
    from_start: float
    processor: float
    """Seconds of processor time that the worker took from its first published state to its last COMMIT."""
    busy: float
    """Share of all cores' time meanwhile that anything took, the broker and this program among it."""
    memory: list[int]
    """Bytes that the worker held in memory, looked at a few times a second while it worked."""

    def tenths(self) -> list[int]:
        """The most of each tenth of the time, in megabytes."""
        last = len(self.memory)
        return [max(self.memory[last * part // 10 : max(last * (part + 1) // 10, last * part // 10 + 1)]) // 1_000_000 for part in range(10)]


def work(settings: Settings, filled: Filled, folder: Path) -> Work:
    """How long our worker takes with a new warehouse in ``folder``.

    Raises:
        TotalsError: it published something else than was sent, ended, or did not get through.
    """
    settings = settings.model_copy(update={"warehouse": folder / "onnuri.duckdb", "published": folder / "published", "web_port": free_port()})
    log = folder / "worker.log"
    began = time.perf_counter()
    with log.open("wb") as output, running([sys.executable, "-m", "streams.cli", "worker"], environment(settings), output) as process:
        memory: list[int] = []
        answered, assigned, committed = _until_published(settings, filled, process, log, memory)
        ended = time.perf_counter()
    _check(settings.published_folder, filled)
    return Work(committed.at - assigned.at, ended - answered, ended - began, committed.processor - assigned.processor, committed.busy, memory)


@dataclass(frozen=True)
class Moment:
    """A look at the clock, the seconds of processor time that the worker has taken so far, and how busy all cores were since the moment before this one."""

    at: float
    processor: float
    busy: float

    @classmethod
    def now(cls, worker: psutil.Process) -> Self:
        """This moment."""
        taken = worker.cpu_times()
        return cls(time.perf_counter(), taken.user + taken.system, psutil.cpu_percent() / 100)


def _until_published(settings: Settings, filled: Filled, process: subprocess.Popen[bytes], log: Path, memory: list[int]) -> tuple[float, Moment, Moment]:
    """When it answered, had its partitions, and had committed all; notes its ``memory``."""
    worker = psutil.Process(process.pid)
    answered = 0.0
    assigned: Moment | None = None
    committed: Moment | None = None
    gives_up = time.perf_counter() + PATIENCE_SECONDS
    with closing(KafkaAdminClient(bootstrap_servers=settings.kafka)) as admin:
        while time.perf_counter() < gives_up:
            if not answered and _answers(settings):
                answered = time.perf_counter()
            try:
                manifest = Manifest.read(settings.published_folder)
            except NothingPublishedError:
                manifest = None
            if manifest and manifest.lag is not None:
                assigned = assigned or Moment.now(worker)
                if not committed and _told(admin, manifest.warehouse_id, filled.topics(settings)) >= filled.events + filled.refused:
                    committed = Moment.now(worker)
            if manifest and manifest.lag == 0 and manifest.totals["accepted"] >= filled.events and assigned and committed:
                return answered or assigned.at, assigned, committed
            if process.poll() is not None:
                raise TotalsError(f"The worker ended with exit code {process.returncode}:\n{log.read_text(errors='replace')[-2000:]}")
            if assigned:
                memory.append(worker.memory_info().rss)
            time.sleep(0.05)
    raise TotalsError(f"The worker did not publish {filled.events} events within {PATIENCE_SECONDS} s:\n{log.read_text(errors='replace')[-2000:]}")


def _told(admin: KafkaAdminClient, warehouse_id: str, topics: Collection[str]) -> int:
    """How many records of these topics Kafka was told to be committed."""
    group = f"onnuri-{warehouse_id}"
    return sum(max(found.offset, 0) for tp, found in admin.list_group_offsets(group)[group].items() if tp.topic in topics)


def _answers(settings: Settings) -> bool:
    try:
        with urllib.request.urlopen(f"http://{settings.web_host}:{settings.web_port}/health", timeout=1):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _check(published: Path, filled: Filled) -> None:
    with open_snapshot(published) as snapshot:
        stored = snapshot.query("grand_totals").row(0, named=True)
        totals = snapshot.manifest.totals
    krw = {status: int(stored[f"{status}_amount"]) for status in ("approved", "declined", "reversed")}
    sent = {status: filled.krw.get(status, 0) for status in krw}
    if krw != sent or totals["accepted"] != filled.events or totals["duplicate"] or totals["refused"] != filled.refused:
        raise TotalsError(f"Sent {filled.events} events with KRW {sent}; published KRW {krw}, and counted {dict(totals)}.")


def measure(events: int, turns: int, scale: float = 1.0, *, with_failures: bool = False) -> dict[str, object]:
    """Fill a topic of so many payments, or two, take turns, and return the row of results.

    Raises:
        TotalsError: a turn's totals were wrong.
    """
    # What others do on the machine at the same time makes a result worse.
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary, EmbeddedBroker() as broker:
        # The replayed clock never ticks here: nothing is too old, and no minute closes.
        settings = Settings.read(kafka=broker.bootstrap, clock="replay")
        ensure_topics(settings)
        filled = asyncio.run(fill(settings, payments(events, scale), failed=failures(events, scale) if with_failures else ()))
        read, worked = [], []
        for turn in range(turns):
            read.append(asyncio.run(read_and_throw_away(settings, filled)))
            folder = Path(temporary) / f"turn-{turn}"
            folder.mkdir()
            worked.append(work(settings, filled, folder))
    times = (read, [w.committed for w in worked], [w.published for w in worked], [w.from_start for w in worked])
    rates = [filled.events / statistics.median(some) for some in times]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        "events": filled.events,
        "failures": filled.failures,
        **dict(zip(("reader_per_second", "committed_per_second", "worker_per_second", "worker_from_start_per_second"), map(round, rates), strict=True)),
        "ratio": round(rates[2] / rates[0], 3),
        "committed_ratio": round(rates[1] / rates[0], 3),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load_before": round(load, 1),
        "peak_mb": max(max(w.memory) for w in worked) // 1_000_000,
        "memory": worked[-1].tenths(),
        "processor_us": statistics.median(w.processor for w in worked) / filled.events * 1e6,
        "busy": statistics.median(w.busy for w in worked),
    }


def keep(row: dict[str, object], results: Path) -> None:
    """Append a row to the file of results, which begins with the names of its columns."""
    new = not results.exists()
    with results.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerow(row)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, keep. Returns the exit code: 1 where the totals of a turn were wrong."""
    options = argparse.ArgumentParser(prog="python -m benchmarks ingest", description="Payments from Kafka to published files, against a bare reader.")
    options.add_argument("--events", type=int, default=300_000, help="payments in the topic (default: %(default)s)")
    options.add_argument("--turns", type=int, default=3, help="turns, of which the median counts (default: %(default)s)")
    options.add_argument(
        "--scale", type=float, default=1.0, help="size of the simulated country, which limits how many payments there are (default: %(default)s)"
    )
    options.add_argument("--failures", action="store_true", help="the failed attempts of the same time too, in a topic beside")
    options.add_argument("--results", type=Path, default=RESULTS, help="file of results to append to (default: benchmarks/results.csv)")
    given = options.parse_args(arguments)
    try:
        row = measure(given.events, given.turns, given.scale, with_failures=given.failures)
    except TotalsError as error:
        print(f"The totals are wrong, so nothing was measured. {error}", file=sys.stderr)
        return 1
    keep(row, given.results)
    print(f"{'':<34}{'events/s':>12}")
    print(f"{'aiokafka getmany, thrown away':<34}{row['reader_per_second']:>12,}")
    print(f"{'worker, to its last COMMIT':<34}{row['committed_per_second']:>12,}")
    print(f"{'worker, published, once it answers':<34}{row['worker_per_second']:>12,}")
    print(f"{'worker, published, from its start':<34}{row['worker_from_start_per_second']:>12,}")
    print(f"Memory of the worker in each tenth of its last turn: {', '.join(map(str, row['memory']))} MB; at most {row['peak_mb']} MB.")  # type: ignore[call-overload]
    print(f"To its last COMMIT it took {row['processor_us']:.1f} µs of processor time a record; all cores were {row['busy']:.0%} busy meanwhile.")
    print(
        f"The worker commits at {row['committed_ratio']:.0%} of the bare reader's rate, and has published all at {row['ratio']:.0%}. "
        f"Totals agree to the won. Kept in {given.results.name}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
