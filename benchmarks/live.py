"""How old is what can be read, while payments come in at a steady rate?

An embedded Kafka, a worker with a new warehouse and the wall clock, and payments sent as they occur. For each one: from the moment before it is given to the
producer until a manifest is on disk whose files hold it. Besides, how much of a core the worker takes. The first seconds, in which the worker
warms up, do not count; that every payment was counted is checked at the end.

``python -m benchmarks live --rate 5000 --seconds 60``
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import psutil
from aiokafka import AIOKafkaProducer

from benchmarks._processes import running
from benchmarks.ingest import BATCH_BYTES, Record, TotalsError, payments
from streams.broker import EmbeddedBroker
from streams.demo import environment
from streams.ports import free_port
from streams.settings import Settings
from streams.topics import ensure_topics
from warehouse.reading import Manifest, NothingPublishedError

TICK, WARM_UP, PATIENCE = 0.02, 10.0, 60.0
Sent = tuple[int, int, int, float]
"""Partition, offset after the batch, how many payments it has, and when the first was given to the producer."""


@dataclass
class Seen:
    """Latencies in seconds, one for each payment, and how much of a core the worker took."""

    latencies: list[float] = field(default_factory=list)
    cores: float = 0.0


@contextmanager
def worker(settings: Settings) -> Iterator[psutil.Process]:
    """A worker that has published its first state, until the end of the block."""
    log = settings.warehouse.with_name("worker.log")
    with log.open("wb") as output, running([sys.executable, "-m", "streams.cli", "worker"], environment(settings), output) as process:
        for _ in range(int(PATIENCE / 0.1)):
            if _manifest(settings) is not None:
                break
            time.sleep(0.1)
        yield psutil.Process(process.pid)


def _manifest(settings: Settings) -> Manifest | None:
    try:
        return Manifest.read(settings.published_folder)
    except NothingPublishedError:
        return None


async def send(settings: Settings, made: Iterator[Record], rate: int, seconds: float, sent: deque[Sent]) -> int:
    """Send payments that occur now; returns how many."""
    topic, total = settings.topic("payments"), 0
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, compression_type="lz4", linger_ms=0, max_batch_size=BATCH_BYTES)
    await producer.start()

    async def one(partition: int, some: list[bytes]) -> None:
        batch, began = producer.create_batch(), time.time()
        for value in some:
            batch.append(key=None, value=value, timestamp=int(began * 1000))
        delivered = await (await producer.send_batch(batch, topic, partition=partition))
        sent.append((partition, delivered.offset + len(some), len(some), began))

    try:
        began = time.perf_counter()
        while total < rate * seconds:
            due = int(min(time.perf_counter() - began, seconds) * rate) - total
            now = int(time.time() * 1000)
            some = [msgspec.json.encode({**msgspec.json.decode(value), "occurred_at": now}) for _, (_, value, _) in zip(range(due), made, strict=False)]
            shares = [(partition, some[partition :: settings.partitions]) for partition in range(settings.partitions)]
            await asyncio.gather(*(one(partition, share) for partition, share in shares if share))
            total += len(some)
            await asyncio.sleep(TICK)
    finally:
        await producer.stop()
    return total


async def watch(settings: Settings, sent: deque[Sent], seen: Seen, ended: asyncio.Event) -> None:
    """Note how old each payment was when the first manifest that holds it was read."""
    reached, waiting, sequence = [0] * settings.partitions, list[Sent](), -1
    gives_up = None
    while not ended.is_set() or waiting or sent:
        await asyncio.sleep(TICK)
        while sent:
            waiting.append(sent.popleft())
        manifest, now = _manifest(settings), time.time()
        if manifest and manifest.sequence > sequence:
            sequence = manifest.sequence
            for source in manifest.sources:
                if source["topic"] == "payments":
                    reached[source["partition"]] = source["next_offset"]
            seen.latencies += [now - at for partition, end, count, at in waiting if end <= reached[partition] for _ in range(count)]
            waiting = [item for item in waiting if item[1] > reached[item[0]]]
        if ended.is_set():
            gives_up = gives_up or now + PATIENCE
            if now > gives_up:
                raise TotalsError(f"{len(waiting)} batches were not published within {PATIENCE:.0f} s.")


async def measure(settings: Settings, rate: int, seconds: float) -> Seen:
    """Send for the warm-up and then ``seconds`` more, of which the result is.

    Raises:
        TotalsError: not every payment was counted.
    """
    made, total = payments(int(rate * (WARM_UP + seconds))), 0
    with worker(settings) as process:
        for length in (WARM_UP, seconds):
            seen, sent, ended = Seen(), deque[Sent](), asyncio.Event()
            watching = asyncio.create_task(watch(settings, sent, seen, ended))
            before, began = sum(process.cpu_times()[:2]), time.perf_counter()
            total += await send(settings, made, rate, length, sent)
            seen.cores = (sum(process.cpu_times()[:2]) - before) / (time.perf_counter() - began)
            ended.set()
            await watching
    manifest = Manifest.read(settings.published_folder)
    if manifest.totals["accepted"] != total:
        raise TotalsError(f"{total} payments were sent, {manifest.totals['accepted']} counted.")
    return seen


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Returns the exit code: 1 where the totals were wrong."""
    options = argparse.ArgumentParser(prog="python -m benchmarks live", description="How old is what can be read, at a steady rate.")
    options.add_argument("--rate", type=int, default=5_000, help="payments a second (default: %(default)s)")
    options.add_argument("--seconds", type=float, default=60, help="how long, after ten seconds of warming up (default: %(default)s)")
    given = options.parse_args(arguments)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker() as broker:
        settings = Settings.read(kafka=broker.bootstrap, warehouse=Path(folder) / "onnuri.duckdb", published=Path(folder) / "published", web_port=free_port())
        ensure_topics(settings)
        try:
            seen = asyncio.run(measure(settings, given.rate, given.seconds))
        except TotalsError as error:
            print(f"The totals are wrong, so nothing was measured. {error}", file=sys.stderr)
            return 1
    median, late, latest = np.percentile(seen.latencies, [50, 99, 100])
    print(f"{len(seen.latencies):,} payments at {given.rate:,} a second (load before: {load:.1f}), from sending to the published files:")
    print(f"half within {median:.2f} s, 99 of 100 within {late:.2f} s, all within {latest:.2f} s; the worker took {seen.cores:.0%} of a core")
    return 0


if __name__ == "__main__":
    sys.exit(main())
