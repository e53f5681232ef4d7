"""What does a long history cost: a restart, a batch, a question? The same over a short and a ten times longer one.

A warehouse with made-up payments of so many days for 1,400 markets, at the real volume of the voucher (some 400,000 payments a day), every one kept as a single
event too. A real worker with an embedded Kafka publishes it all and is then started again, timed until /health says ok and a new state is published. Batches
of new payments, of which one in a hundred failed first and one in a hundred comes twice, are written by the worker's writer, in the end also after an outage in
which millions of attempts failed; questions are asked of the published files as the pages ask them.

``python -m benchmarks history --days 3 30``
"""

import argparse
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks._processes import running
from dashboard.figures.live import live_figures
from streams.broker import EmbeddedBroker
from streams.demo import environment
from streams.keying import keyed
from streams.ports import free_port
from streams.settings import Settings
from streams.topics import ensure_topics
from warehouse.ingest import Chunk, Writer
from warehouse.reading import Manifest, NothingPublishedError, open_snapshot

NOW = datetime(2025, 3, 1, 3, 0, tzinfo=UTC)
LIVE, BACKLOG = 2_500, 150_000
PATIENCE_SECONDS = 900

FILL = """
CREATE TEMP TABLE made AS
SELECT uuid() AS event_id, uuid() AS purchase_id, 1 AS attempt, $first + to_microseconds((i * $step)::BIGINT) AS occurred_at, 'm' || lpad((hash(i) % 1400)::VARCHAR, 4, '0') AS market_id,
    market_id || '-' || (hash(i, 1) % 50) AS merchant_id, uuid() AS user_key, if(hash(i, 2) % 2 = 0, 'card', 'mobile') AS channel,
    if(hash(i, 3) % 50 = 0, 'declined', 'approved') AS status, (1000 + hash(i, 4) % 90000)::BIGINT AS amount, '00' AS response_code, 'i' || (hash(i, 5) % 12) AS issuer,
    (hash(i, 6) % 900)::BIGINT AS latency_ms, NULL::UUID AS reverses
FROM range($low, $high) t(i);
INSERT INTO payment BY NAME FROM made;
INSERT INTO failure BY NAME SELECT uuid() AS event_id, purchase_id, 2 AS attempt, occurred_at, 'payment' AS service, 'timeout' AS code, market_id, merchant_id, user_key, channel, amount, issuer
FROM made WHERE hash(event_id) % 100 = 0;
INSERT INTO market_minute SELECT date_trunc('minute', occurred_at), market_id, channel, count(*) FILTER (status = 'approved'),
    coalesce(sum(amount) FILTER (status = 'approved'), 0), count(*) FILTER (status = 'declined'), 0, 0, 0, 0 FROM made GROUP BY ALL;
INSERT INTO issuer_minute BY NAME SELECT date_trunc('minute', occurred_at) AS minute_at, issuer, '서울특별시' AS region, channel, status AS outcome, '00' AS code, count(*) AS count, sum(amount) AS amount,
    count(*) AS latency_under_300, 0 AS latency_under_1000, 0 AS latency_under_3000, 0 AS latency_under_10000, 0 AS latency_over_10000 FROM made GROUP BY ALL;
INSERT INTO merchant_day SELECT (occurred_at + INTERVAL 9 HOUR)::DATE, merchant_id, market_id, count(*), sum(amount), 0, 0 FROM made GROUP BY ALL;
INSERT INTO hour_version SELECT DISTINCT date_trunc('hour', occurred_at), 1 FROM made WHERE date_trunc('hour', occurred_at) NOT IN (SELECT hour_at FROM hour_version);
DROP TABLE made;
"""


OUTAGE = """
CREATE TEMP TABLE made AS
SELECT uuid() AS event_id, uuid() AS purchase_id, 1 AS attempt, $last - to_microseconds(i * 20000) AS occurred_at, 'payment' AS service, 'timeout' AS code,
    'm' || lpad((hash(i) % 1400)::VARCHAR, 4, '0') AS market_id, market_id || '-1' AS merchant_id, uuid() AS user_key, 'card' AS channel, 25000::BIGINT AS amount
FROM range($failures) t(i);
INSERT INTO failure BY NAME FROM made;
INSERT INTO failed_purchase BY NAME SELECT purchase_id, user_key, market_id, channel, occurred_at AS first_failure_at, occurred_at AS last_failure_at, 1::BIGINT AS failures, amount FROM made;
INSERT INTO failed_purchase_payment BY NAME SELECT uuid() AS event_id, purchase_id, 2 AS attempt, occurred_at, 'approved' AS status, amount FROM made;
DROP TABLE made;
"""


def fill(path: Path, days: int, payments_a_day: int) -> int:
    """Make the warehouse; returns how many market-minutes it has."""
    writer = Writer(path, NOW)
    run = writer.connection.execute
    run("SELECT setseed(0.5)")
    run("INSERT INTO market SELECT 'm' || lpad(i::VARCHAR, 4, '0'), '시장 ' || i, '서울특별시', '중구', 37.5, 127, NULL, 50 FROM range(1400) t(i)")
    run("INSERT INTO table_version VALUES ('market', 1)")
    for day in range(days):
        given = {"first": (NOW - timedelta(days=days)).replace(tzinfo=None), "step": 86_400e6 / payments_a_day}
        with writer.transaction():
            _run(writer, FILL, given | {"low": day * payments_a_day, "high": (day + 1) * payments_a_day})
    with writer.transaction():
        run(
            "INSERT INTO failed_purchase_payment BY NAME SELECT event_id, purchase_id, attempt, occurred_at, status, amount FROM payment SEMI JOIN failure USING (purchase_id)"
        )
        run(
            "UPDATE line SET watermark = $at, detected_through = $at, retained_from = $from",
            {"at": NOW.replace(tzinfo=None), "from": (NOW - timedelta(days=365)).replace(tzinfo=None)},
        )
    (minutes,) = run("SELECT count(*) FROM market_minute").fetchall()[0]
    writer.close()
    return int(minutes)


def fail(writer: Writer, failures: int) -> None:
    """Let so many attempts have failed, fifty a second, each of a purchase that was paid after all."""
    with writer.transaction():
        _run(writer, OUTAGE, {"last": NOW.replace(tzinfo=None), "failures": failures})


def _run(writer: Writer, statements: str, given: Mapping[str, object]) -> None:
    # DuckDB takes no parameters with several statements, and none that a statement does not have.
    for statement in filter(str.strip, statements.split(";")):
        writer.connection.execute(statement, {name: value for name, value in given.items() if f"${name}" in statement} or None)


def batch(number: int, rows: int, known: pl.DataFrame) -> list[Chunk]:
    """New payments in one partition and the failures before some of them, after those of batch ``number``; one in a hundred payments is among ``known``."""
    chance = np.random.default_rng([rows, number])
    ids = pl.Series([f"{high:016x}{low:016x}" for high, low in chance.integers(0, 2**63, (rows, 2))])
    ids = ids.str.slice(0, 8) + "-" + ids.str.slice(8, 4) + "-" + ids.str.slice(12, 4) + "-" + ids.str.slice(16, 4) + "-" + ids.str.slice(20)
    first = int(NOW.timestamp() * 1000) + number * 500
    market = pl.Series(chance.integers(0, 1400, rows)).cast(pl.String).str.zfill(4)
    frame = pl.DataFrame(
        {
            "row": np.arange(rows),
            "event_id": ids,
            "purchase_id": ids.str.reverse().str.replace_all("-", ""),
            "attempt": 2,
            "occurred_at": first + chance.integers(0, 500, rows),
            "market_id": "m" + market,
            "merchant_id": "m" + market + "-1",
            "user_id": ids.str.replace_all("-", ""),
            "channel": "card",
            "status": "approved",
            "amount": chance.integers(1_000, 90_000, rows),
            "response_code": "00",
            "issuer": "i1",
            "latency_ms": 100,
            "reverses": pl.Series([None] * rows, dtype=pl.String),
            "offset_at": number * rows + np.arange(rows),
        }
    )
    twice = known.sample(rows // 100, seed=number)
    again = frame[: len(twice)].with_columns(event_id=twice["event_id"], occurred_at=twice["occurred_at"])
    failed = frame[len(twice) :: 100].select(
        "row", pl.col("event_id").str.reverse().alias("event_id"), "purchase_id", pl.lit(1).alias("attempt"), "occurred_at", pl.lit("payment").alias("service"),
        pl.lit("timeout").alias("code"), "market_id", "merchant_id", "user_id", "channel", "amount", "issuer", "offset_at"
    )  # fmt: skip
    span = number * rows, (number + 1) * rows
    arrived = ("errors", failed), ("payments", pl.concat([again, frame[len(twice) :]]))
    return [Chunk(topic, 0, *span, keyed(records, _from_hex)) for topic, records in arrived]


def _from_hex(texts: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(bytes.fromhex(b"".join(texts).decode()), np.uint8).reshape(-1, 16)


def cost(writer: Writer, rows: int, batches: int, first: int) -> tuple[float, float]:
    """Median milliseconds by the clock for a batch, and microseconds of processor time for each payment.

    Raises:
        SystemExit: a duplicate was counted, or a payment was not.
    """
    # A duplicate mostly comes soon.
    sample = "SELECT event_id::VARCHAR AS event_id, epoch_ms(occurred_at) AS occurred_at FROM payment WHERE occurred_at > $since LIMIT 20000"
    known = pl.DataFrame(
        writer.connection.execute(sample, {"since": (NOW - timedelta(hours=1)).replace(tzinfo=None)}).fetchall(),
        schema={"event_id": pl.String, "occurred_at": pl.Int64},
        orient="row",
    )
    took, used = [], []
    for number in range(first, first + batches):
        chunks = batch(number, rows, known)
        before, began, spent = _accepted(writer), time.perf_counter(), time.process_time()
        writer.apply(chunks, NOW, lambda _: None)
        took.append(time.perf_counter() - began)
        used.append(time.process_time() - spent)
        if _accepted(writer) - before != rows - rows // 100:
            sys.exit(f"Of {rows} payments {rows // 100} were known, and {_accepted(writer) - before} were accepted.")
    return median(took) * 1e3, median(used) / rows * 1e6


def _accepted(writer: Writer) -> int:
    return int(writer.connection.execute("SELECT coalesce(sum(accepted), 0) FROM source_offset WHERE topic = 'payments'").fetchall()[0][0])


@contextmanager
def worker(settings: Settings) -> Iterator[None]:
    """A worker until the end of the block."""
    log = settings.warehouse.with_name("worker.log")
    with log.open("ab") as output, running([sys.executable, "-m", "streams.cli", "worker"], environment(settings), output):
        yield


def until_ready(settings: Settings, since: datetime) -> float:
    """Seconds from ``since`` until the worker says that it is well and has published a state."""
    while (waited := (datetime.now(UTC) - since).total_seconds()) < PATIENCE_SECONDS:
        try:
            with urllib.request.urlopen(f"http://{settings.web_host}:{settings.web_port}/health", timeout=1):
                if Manifest.read(settings.published_folder).published_at > since:
                    return waited
        except (urllib.error.URLError, OSError, NothingPublishedError):
            pass
        time.sleep(0.05)
    sys.exit(f"The worker was not ready within {PATIENCE_SECONDS} s; its log is {settings.warehouse.with_name('worker.log')}")


def restarts(settings: Settings) -> tuple[float, float]:
    """Seconds until everything is published for the first time, and until a second start is ready."""
    with EmbeddedBroker() as broker:
        settings = settings.model_copy(update={"kafka": broker.bootstrap, "web_port": free_port()})
        ensure_topics(settings)
        seconds = []
        for _ in range(2):
            began = datetime.now(UTC)
            with worker(settings):
                seconds.append(until_ready(settings, began))
    return seconds[0], seconds[1]


def questions(published: Path, days: int) -> dict[str, float]:
    """Milliseconds at the 95th percentile, of twenty times each, with the files opened anew for every question, as for every state on the pages."""
    span = {"start": NOW - timedelta(days=min(days, 30)), "end": NOW}
    nation = {"scope": "nation", "scope_name": "", "minutes": 1}
    asked: dict[str, Callable[..., object]] = {
        "live page": lambda s: live_figures(s, pl.DataFrame(schema={"at": pl.Datetime("us", "Asia/Seoul"), "expected": pl.Float64})),
        "a market's month": lambda s: s.query("sales_by_step", **span, scope="market", scope_name="m0700", minutes=60),
        "the nation's minutes of a month": lambda s: s.query("sales_by_step", **span, **nation),
    }
    found = {}
    for name, ask in asked.items():
        took = []
        for _ in range(21):
            began = time.perf_counter()
            with open_snapshot(published) as snapshot:
                ask(snapshot)
            took.append(time.perf_counter() - began)
        found[name] = quantiles(took[1:], n=20)[-1] * 1e3
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Returns the exit code."""
    options = argparse.ArgumentParser(prog="python -m benchmarks history", description="What a long history costs.")
    options.add_argument("--days", type=int, nargs="+", default=[3, 30], help="lengths of the history (default: 3 30)")
    options.add_argument("--payments", type=int, default=400_000, help="payments a day (default: %(default)s)")
    options.add_argument("--outage", type=int, default=3_000_000, help="failed attempts of the outage in the end (default: %(default)s)")
    given = options.parse_args(arguments)
    for days in given.days:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings.read(clock="replay", warehouse=Path(folder) / "onnuri.duckdb", published=Path(folder) / "published")
            minutes = fill(settings.warehouse, days, given.payments)
            print(
                f"\n{days} days: {days * given.payments:,} payments, {minutes:,} market-minutes, {settings.warehouse.stat().st_size / 1e6:,.0f} MB (load {os.getloadavg()[0]:.1f})",
                flush=True,
            )
            first, again = restarts(settings)
            print(f"  {first:8.1f} s    until all is published for the first time\n  {again:8.1f} s    until a restart is ready", flush=True)
            for name, milliseconds in questions(settings.published_folder, days).items():
                print(f"  {milliseconds:8.0f} ms   {name} (p95)", flush=True)
            began = time.perf_counter()
            writer = Writer(settings.warehouse, NOW)
            print(f"  {time.perf_counter() - began:8.1f} s    to open the warehouse", flush=True)
            for rows, batches in ((LIVE, 20), (BACKLOG, 3)):
                milliseconds, microseconds = cost(writer, rows, batches, first=1_000 if rows == BACKLOG else 0)
                print(f"  {milliseconds:8.0f} ms   a batch of {rows:,} payments; {microseconds:.1f} µs of processor time each", flush=True)
            fail(writer, given.outage)
            milliseconds, _ = cost(writer, LIVE, 20, first=100_000)
            print(f"  {milliseconds:8.0f} ms   a batch of {LIVE:,} payments after {given.outage:,} failures", flush=True)
            writer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
