"""Does a lake stay small while it is written live, and do its workers? Files, snapshots, memory and readers' times, minute by minute.

An embedded Kafka, a PostgreSQL, workers on one lake that commit about once a second each, and payments that occur now. A reader attached to the lake asks what the live page
asks. In the end every payment must be counted.

``make bench-lake-live ARGS='--minutes 60 --rate 500 --workers 2'`` (in the environment of ``make test-lake``)
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import deque
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.ingest import PATIENCE_SECONDS, TotalsError, payments
from benchmarks.lake import Reader, of, workers
from benchmarks.live import Sent, send
from streams.broker import EmbeddedBroker
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.postgres_server import Postgres
from warehouse.lake import Lake, open_lake

COUNTS = """SELECT (SELECT count(*) FROM ducklake_data_file WHERE end_snapshot IS NULL) || ' ' || (SELECT count(*) FROM ducklake_data_file)
|| ' ' || (SELECT count(*) FROM ducklake_snapshot)"""


def sizes(postgres: Postgres, data: Path) -> tuple[int, int, int, int]:
    """Files of the newest snapshot, of all that the catalog lists, snapshots, and Parquet files on disk."""
    live, listed, snapshots = (int(number) for number in postgres.sql(COUNTS).split())
    return live, listed, snapshots, sum(1 for _ in data.rglob("*.parquet"))


def counted(lake: Lake) -> int:
    """How many payments the lake has accepted."""
    with open_lake(lake, read_only=True) as connection:
        return int(connection.execute("SELECT coalesce(sum(accepted), 0) FROM source_offset WHERE topic = 'payments'").fetchall()[0][0])


def measure(minutes: int, rate: int, number: int) -> None:
    """Send, and print a line a minute.

    Raises:
        TotalsError: not every payment was counted.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary, EmbeddedBroker() as broker, ExitStack() as stack:
        folder = Path(temporary)
        folder.chmod(0o755)  # PostgreSQL may run as another user
        base = Settings.read(kafka=broker.bootstrap)
        ensure_topics(base)
        postgres = stack.enter_context(Postgres(folder / "postgres"))
        lake = Lake(f"ducklake:postgres:{postgres.dsn()}", str(folder / "data"))
        processes = stack.enter_context(workers([of(base, lake, folder) for _ in range(number)], folder))
        reader = stack.enter_context(Reader(lake, datetime.now(UTC).replace(tzinfo=None)))
        made, total, sent, seen = payments(rate * 60 * minutes), 0, deque[Sent](), 0
        print("minute  live files  listed  on disk  snapshots  reads p95, ms  memory, MB  load", flush=True)
        for minute in range(1, minutes + 1):
            total += asyncio.run(send(base, made, rate, 60, sent))
            live, listed, snapshots, there = sizes(postgres, folder / "data")
            taken, seen = reader.seconds[seen:], len(reader.seconds)
            p95 = statistics.quantiles(taken, n=20)[-1] * 1e3 if len(taken) > 1 else float("nan")
            memory = max(process.memory_info().rss for process in processes) // 1_000_000
            print(f"{minute:6}  {live:10}  {listed:6}  {there:7}  {snapshots:9}  {p95:13.0f}  {memory:10}  {os.getloadavg()[0]:4.1f}", flush=True)
        gives_up = time.monotonic() + PATIENCE_SECONDS
        while (found := counted(lake)) < total:
            if time.monotonic() > gives_up:
                raise TotalsError(f"{total} payments were sent, and {found} counted.")
            threading.Event().wait(1)
        print(f"All {total:,} payments are counted, once each.")


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Returns the exit code: 1 where a payment is missing or counted twice."""
    options = argparse.ArgumentParser(prog="python -m benchmarks lake_live", description="A lake under live load.")
    options.add_argument("--minutes", type=int, default=60, help="how long (default: %(default)s)")
    options.add_argument("--rate", type=int, default=500, help="payments a second (default: %(default)s)")
    options.add_argument("--workers", type=int, default=2, help="workers (default: %(default)s)")
    given = options.parse_args(arguments)
    try:
        measure(given.minutes, given.rate, given.workers)
    except TotalsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0
