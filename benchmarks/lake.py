"""How fast are several workers on one lake, against one on a file, and how long do readers wait meanwhile?

An embedded Kafka, a PostgreSQL, and in turn one worker on a file and one, two, four on a lake, all on the same cores. A turn's payments are one transaction of Kafka's that is committed
when every worker has its partitions: so all begin at once, and the time counts from there to the COMMIT of the last payment, which workers tell Kafka. Meanwhile a reader attached to the lake
asks what the live page asks. The totals of every turn are checked to the won.

Then what a model needs (``python -m benchmarks costs``): bytes, files, commits a second, merging. ``--keep FILE`` keeps it.

``make bench-lake ARGS='--events 400000 --workers 1 2 4'`` (in the environment of ``make test-lake``)
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import duckdb
import numpy as np
import psutil
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient

from benchmarks._processes import running
from benchmarks.ingest import BATCH_BYTES, Filled, Record, TotalsError, _answers, _hash, _told, payments
from streams.broker import EmbeddedBroker
from streams.demo import environment
from streams.ports import free_port
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.postgres_server import Postgres, programs
from warehouse.known_ids import EVENT_BITS, PURCHASE_BITS
from warehouse.lake import Lake, open_lake
from warehouse.reading import Manifest, NothingPublishedError, open_snapshot

PATIENCE_SECONDS = 600
READER_PAUSE = 0.3
MERGED_FILES = 20
QUESTIONS = {
    "two hours of the nation": "SELECT minute_at, channel, sum(approved_amount) FROM market_minute WHERE minute_at >= ? - INTERVAL 2 HOUR GROUP BY ALL",
    "a market's day": "SELECT date_trunc('hour', minute_at), sum(approved_amount) FROM market_minute WHERE market_id = 'm0020' AND minute_at >= ? - INTERVAL 1 DAY GROUP BY ALL",
}


@dataclass(frozen=True)
class Turn:
    """Payments a second, on how many cores of the workers', how long a reader's questions took meanwhile (seconds), and refused batches."""

    rate: float
    cores: float
    reads: list[float]
    refused: int


class Held:
    """A Kafka transaction with payments in it that nobody sees before ``release``."""

    def __init__(self, settings: Settings, records: list[Record]) -> None:
        self.settings, self.records = settings, records

    async def fill(self, ready: asyncio.Event, released: asyncio.Event) -> None:
        """Send; wait for ``ready``; commit."""
        topic = self.settings.topic("payments")
        producer = AIOKafkaProducer(
            bootstrap_servers=self.settings.kafka, compression_type="lz4", max_batch_size=BATCH_BYTES, transactional_id=topic, transaction_timeout_ms=600_000
        )
        await producer.start()
        try:
            await producer.begin_transaction()
            batches, sent = {number: producer.create_batch() for number in range(self.settings.partitions)}, []
            for key, value, at in self.records:
                number = _hash(key) % self.settings.partitions
                if batches[number].append(key=key, value=value, timestamp=at) is None:
                    sent.append(await producer.send_batch(batches[number], topic, partition=number))
                    batches[number] = producer.create_batch()
                    batches[number].append(key=key, value=value, timestamp=at)
            sent += [await producer.send_batch(batch, topic, partition=number) for number, batch in batches.items() if batch.record_count()]
            await asyncio.gather(*sent)
            await ready.wait()
            await producer.commit_transaction()
            released.set()
        finally:
            await producer.stop()


def krw_of(records: list[Record]) -> Filled:
    """What the payments come to."""
    krw: dict[str, int] = {}
    for _, value, _ in records:
        payment = json.loads(value)
        krw[payment["status"]] = krw.get(payment["status"], 0) + payment["amount"]
    return Filled(len(records), krw)


class Reader:
    """Asks the lake again and again on a thread of its own."""

    def __init__(self, lake: Lake, newest: Any) -> None:  # noqa: ANN401  # a datetime
        self.lake, self.newest = lake, newest
        self.seconds: list[float] = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def _run(self) -> None:
        with open_lake(self.lake, memory_limit="1GB", read_only=True) as connection:
            while not self.ended.is_set():
                for question in QUESTIONS.values():
                    began = time.perf_counter()
                    connection.execute(question, [self.newest]).fetchall()
                    self.seconds.append(time.perf_counter() - began)
                self.ended.wait(READER_PAUSE)


@contextmanager
def workers(each: list[Settings], folder: Path) -> Iterator[list[psutil.Process]]:
    """So many workers, all of them ready."""
    with ExitStack() as stack:
        processes = []
        for number, settings in enumerate(each):
            output = stack.enter_context((folder / f"worker-{number}.log").open("wb"))
            processes.append(stack.enter_context(running([sys.executable, "-m", "streams.cli", "worker"], environment(settings), output)))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(_ready(settings) for settings in each):
            if any(process.poll() is not None for process in processes) or time.monotonic() > deadline:
                raise TotalsError("A worker did not get ready:\n" + "\n".join(log.read_text(errors="replace")[-1500:] for log in folder.glob("*.log")))
            time.sleep(0.1)
        # The last one to join has others deal their partitions anew; they have read nothing yet.
        time.sleep(5)
        yield [psutil.Process(process.pid) for process in processes]


def _ready(settings: Settings) -> bool:
    if not _answers(settings):
        return False
    try:
        with urllib.request.urlopen(f"http://{settings.web_host}:{settings.web_port}/health", timeout=2) as answer:
            return bool(json.load(answer)["status"] == "ok")
    except OSError:
        return False


def _warehouse_id(settings: Settings) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            return Manifest.read(settings.published_folder).warehouse_id
        except NothingPublishedError:
            time.sleep(0.1)
    raise TotalsError("Nothing was published.")


async def turn(base: Settings, each: list[Settings], records: list[Record], folder: Path, lake: Lake | None) -> Turn:
    """One turn of so many workers."""
    ensure_topics(base)
    ready, released = asyncio.Event(), asyncio.Event()
    filling = asyncio.create_task(Held(base, records).fill(ready, released))
    stack = ExitStack()
    with stack:
        live = await asyncio.to_thread(stack.enter_context, workers(each, folder))
        group = await asyncio.to_thread(_warehouse_id, each[0])
        newest = datetime.fromtimestamp(max(at for _, _, at in records) / 1000, UTC).replace(tzinfo=None)
        reader = stack.enter_context(Reader(lake, newest)) if lake else None
        ready.set()
        await released.wait()
        began, busy = time.perf_counter(), _busy(live)
        with closing(KafkaAdminClient(bootstrap_servers=base.kafka)) as admin:
            while await asyncio.to_thread(_told, admin, group, [base.topic("payments")]) < len(records):
                if time.perf_counter() - began > PATIENCE_SECONDS:
                    raise TotalsError(f"They did not get through:\n{_logs(folder)[-3000:]}")
                await asyncio.sleep(0.05)
        seconds = time.perf_counter() - began
        cores = (_busy(live) - busy) / seconds
        await filling
        reads = list(reader.seconds) if reader else []
        refused = _logs(folder).count("Nothing was written")
        await asyncio.to_thread(_check, each[0], lake, krw_of(records))
    return Turn(len(records) / seconds, cores, reads, refused)


def _busy(processes: list[psutil.Process]) -> float:
    """Processor seconds of these so far."""
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def _logs(folder: Path) -> str:
    return "\n".join(log.read_text(errors="replace") for log in folder.glob("*.log"))


def _check(settings: Settings, lake: Lake | None, filled: Filled) -> None:
    text = "SELECT sum(approved_amount)::BIGINT, sum(reversed_amount)::BIGINT FROM market_minute"
    wanted = tuple(filled.krw.get(status, 0) for status in ("approved", "reversed"))
    if lake:
        with open_lake(lake, read_only=True) as connection:
            found = connection.execute(text).fetchall()[0]
            accepted = connection.execute("SELECT sum(accepted) FROM source_offset WHERE topic = 'payments'").fetchall()[0][0]
    else:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while Manifest.read(settings.published_folder).totals["accepted"] < filled.events and time.monotonic() < deadline:
            time.sleep(0.2)
        with open_snapshot(settings.published_folder) as snapshot:
            found, accepted = snapshot.sql(text).row(0), snapshot.manifest.totals["accepted"]
    if tuple(found) != wanted or accepted != filled.events:
        raise TotalsError(f"Sent {filled.events} payments with KRW {wanted} approved and reversed; found {found} of {accepted}.")


def inputs(lake: Lake, postgres: Postgres, rate: float, cores: float) -> dict[str, float]:
    """What the model of costs needs, from the lake that a turn has left."""
    with open_lake(lake, memory_limit="2GB") as connection:
        run = connection.execute
        files, batches = (
            float(number)
            for number in postgres.sql(
                "SELECT (SELECT count(*) FROM ducklake_data_file) || ' ' || count(*) FROM ducklake_snapshot_changes WHERE changes_made LIKE '%inserted%' AND changes_made NOT LIKE '%created%'"
            ).split()
        )
        run("CREATE OR REPLACE TABLE measured_merging AS FROM payment LIMIT 0")
        for number in range(MERGED_FILES):
            run(f"INSERT INTO measured_merging FROM payment WHERE hash(event_id) % {MERGED_FILES} = {number}")  # numbers
        before = _bytes(run, "measured_merging")[0]
        began = time.process_time()
        run("CALL ducklake_merge_adjacent_files('lake', 'measured_merging')")
        merging = time.process_time() - began
        events = _ratio(*_bytes(run, "measured_merging"))
        run("CREATE OR REPLACE TABLE measured_minute AS SELECT * FROM market_minute ORDER BY market_id, minute_at")
        minutes = _ratio(*_bytes(run, "measured_minute"))
        run("DROP TABLE measured_minute")
        run("DROP TABLE measured_merging")
    size, listed = _catalog(postgres)
    rate_of_commits = commits(lake)
    grown, more = _catalog(postgres)
    return {
        "core_rate": rate / cores,
        "commits": rate_of_commits,
        "event_bytes": events,
        "minute_bytes": minutes,
        "files_a_commit": files / batches,
        "catalog_file_bytes": (grown - size) / (more - listed),
        "compaction_bytes": before / merging,
        "filter_bytes": (EVENT_BITS + PURCHASE_BITS) / 8,
    }


def _catalog(postgres: Postgres) -> tuple[float, float]:
    """Bytes of the catalog, and the files that it lists."""
    size, files = postgres.sql("SELECT pg_database_size('lake') || ' ' || count(*) FROM ducklake_data_file").split()
    return float(size), float(files)


def _bytes(run: Any, table: str) -> tuple[float, float]:  # noqa: ANN401  # DuckDB's execute
    """Bytes and rows of a table's files."""
    found = run(
        "SELECT sum(f.file_size_bytes), sum(f.record_count) FROM __ducklake_metadata_lake.ducklake_data_file f JOIN __ducklake_metadata_lake.ducklake_table t USING (table_id) "
        "WHERE t.table_name = ? AND f.end_snapshot IS NULL AND t.end_snapshot IS NULL",
        [table],
    ).fetchall()
    return float(found[0][0]), float(found[0][1])


def _ratio(size: float, rows: float) -> float:
    return size / rows


def commits(lake: Lake, writers: int = 4, seconds: float = 8) -> float:
    """Commits a second that the catalog takes from so many threads, each with a database and a table of its own."""
    counted, stop = [0] * writers, threading.Event()
    with open_lake(lake) as connection:
        for number in range(writers):
            connection.execute(f"CREATE OR REPLACE TABLE measured_{number} (number BIGINT)")

    def write(number: int) -> None:
        with open_lake(lake) as mine:
            while not stop.is_set():
                mine.execute(f"INSERT INTO measured_{number} SELECT range FROM range(1000)")  # noqa: S608  # a number
                counted[number] += 1

    threads = [threading.Thread(target=write, args=[number]) for number in range(writers)]
    for thread in threads:
        thread.start()
    time.sleep(2)
    before, began = sum(counted), time.perf_counter()
    time.sleep(seconds)
    rate = (sum(counted) - before) / (time.perf_counter() - began)
    stop.set()
    for thread in threads:
        thread.join()
    return rate


def measure(events: int, numbers: list[int], turns: int) -> tuple[dict[str, list[Turn]], dict[str, float]]:
    """Turns by name (``file``, ``lake 1``, …), and the inputs of the model."""
    records = list(payments(events))
    found: dict[str, list[Turn]] = {}
    kept: dict[str, float] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary, EmbeddedBroker() as broker:
        Path(temporary).chmod(0o755)  # PostgreSQL may run as another user
        for round_ in range(turns):
            for workers_ in (0, *numbers):
                name = f"lake {workers_}" if workers_ else "file"
                folder = Path(temporary) / f"{name.replace(' ', '-')}-{round_}"
                folder.mkdir()
                base = Settings.read(kafka=broker.bootstrap, clock="replay", topic_prefix=f"{folder.name}.")
                with ExitStack() as stack:
                    lake = None
                    if workers_:
                        postgres = stack.enter_context(Postgres(folder / "postgres"))
                        lake = Lake(f"ducklake:postgres:{postgres.dsn()}", str(folder / "data"))
                    each = [of(base, lake, folder) for _ in range(max(workers_, 1))]
                    found.setdefault(name, []).append(asyncio.run(turn(base, each, records, folder, lake)))
                    print(f"{name}: {found[name][-1].rate:,.0f} payments/s (load {os.getloadavg()[0]:.1f})", flush=True)
                    if workers_ == 1 and round_ == turns - 1:
                        kept = inputs(lake, postgres, statistics.median(one.rate for one in found[name]), found[name][-1].cores)
    return found, kept


def of(base: Settings, lake: Lake | None, folder: Path) -> Settings:
    """The settings of one worker, on a lake or on a file in ``folder``."""
    places: Mapping[str, object] = (
        {"warehouse": Path(lake.target), "lake_data": lake.data, "user_key": "not-secret"} if lake else {"warehouse": folder / "onnuri.duckdb"}
    )
    return base.model_copy(update={**places, "published": folder / "published", "web_port": free_port()})


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Returns the exit code: 1 where totals were wrong, 2 where there is no PostgreSQL."""
    options = argparse.ArgumentParser(prog="python -m benchmarks lake", description="Several workers on one lake against one on a file.")
    options.add_argument("--events", type=int, default=400_000, help="payments of a turn (default: %(default)s)")
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4], help="workers on the lake (default: %(default)s)")
    options.add_argument("--turns", type=int, default=1, help="turns, of which the median counts (default: %(default)s)")
    options.add_argument("--keep", type=Path, help="file to keep the inputs of the model in")
    given = options.parse_args(arguments)
    if programs() is None:
        print("PostgreSQL is not installed (Debian's package postgresql has it).", file=sys.stderr)
        return 2
    load = os.getloadavg()[0]
    try:
        found, kept = measure(given.events, given.workers, given.turns)
    except TotalsError as error:
        print(f"The totals are wrong, so nothing was measured. {error}", file=sys.stderr)
        return 1
    alone = statistics.median(one.rate for one in found["file"])
    print(f"\n{given.events:,} payments, DuckDB {duckdb.__version__}, {os.cpu_count()} cores, load before {load:.1f}")
    print(f"{'':<10}{'payments/s':>12}{'of the file':>13}{'cores':>7}{'reads p50':>11}{'p95':>9}{'refused batches':>17}")
    for name, turns in found.items():
        rate, reads = statistics.median(one.rate for one in turns), [second for one in turns for second in one.reads]
        waits = "".join(f"{1000 * np.percentile(reads, share):>{width},.0f}" for share, width in ((50, 11), (95, 9))) if reads else " " * 20
        print(f"{name:<10}{rate:>12,.0f}{rate / alone:>13.0%}{turns[-1].cores:>7.2f}{waits}{sum(one.refused for one in turns):>17}")
    print("\n" + "\n".join(f"{name:<20} {value:,.2f}" for name, value in kept.items()))
    if given.keep:
        given.keep.write_text(json.dumps({**{name: round(value, 2) for name, value in kept.items()}, "load_before": round(load, 1)}, indent=1) + "\n")
    return 0
