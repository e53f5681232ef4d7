"""Where does the worker's time go? Processor time for each payment, stage by stage, in one process and without Kafka.

Payments of the launch day's history in record batches as a broker hands them out, chunk by chunk through the worker's own code: unpacking, decoding,
hiding buyers, and writing, statement by statement. What is left of the worker's whole time is Faust, the event loops, publishing, and the start.

``python -m benchmarks stages --events 300000``
"""

import argparse
import itertools
import random
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import TopicPartition

from benchmarks.ingest import Record, TotalsError, payments
from streams.decoding import EARLIEST_MS, Layout, Span, decode
from streams.events import CONTRACT
from streams.keying import hider, keyed
from streams.records import Records
from streams.standby import tune_interpreter
from streams.unpacking import Batches, WholeBatches, installed
from warehouse.ingest import Chunk, Writer

CHUNK, LZ4 = 12_500, 3
LATER = 200_000
"""Records after which a duplicate comes at the latest: in the same batch, or in the next."""


class Timed:
    """A database connection that counts the processor time of every statement."""

    def __init__(self, connection: Any, spent: Counter[str]) -> None:  # noqa: ANN401  # DuckDB's, which cannot be subclassed
        self.connection, self.spent = connection, spent

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the connection has
        found = getattr(self.connection, name)
        if name not in {"execute", "commit"}:
            return found

        def timed(*given: Any) -> Any:  # noqa: ANN401  # as above
            began = time.process_time()
            result = found(*given)
            self.spent[_title(given[0]) if given else "COMMIT"] += time.process_time() - began
            return result

        return timed


def _title(statement: str) -> str:
    lines = [line for line in statement.splitlines() if line.strip() and not line.startswith("--")]
    return " ".join(" ".join(lines).split()[:6])


def batches(events: int, duplicates: float = 0.0) -> Iterator[tuple[int, bytes]]:
    """Records and bytes of lz4-compressed record batches; so large a share of the payments comes once more, up to ``LATER`` records later."""
    builder, count = _builder(), 0
    for key, value, at in _repeated(payments(events), duplicates):
        if count == CHUNK:
            yield count, bytes(builder.build())
            builder, count = _builder(), 0
        builder.append(count, at, key, value, [])
        count += 1
    yield count, bytes(builder.build())


def _repeated(records: Iterable[Record], share: float) -> Iterator[Record]:
    chance = random.Random(7)  # noqa: S311  # no secret
    due: dict[int, list[Record]] = {}
    for number, record in enumerate(records):
        yield record
        if chance.random() < share:
            due.setdefault(number + chance.randrange(LATER), []).append(record)
        yield from due.pop(number, ())
    yield from itertools.chain.from_iterable(due.values())


def _builder() -> DefaultRecordBatchBuilder:
    unlimited = 1 << 30
    return DefaultRecordBatchBuilder(
        magic=2, compression_type=LZ4, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1, batch_size=unlimited
    )


def unpacked(fetched: bytes) -> WholeBatches:
    """What aiokafka hands out of what was fetched from offset 0, as the worker has it unpacked."""
    return WholeBatches(TopicPartition("payments", 0), Batches(fetched), [], 0, None, None, check_crcs=True, isolation_level=READ_COMMITTED)


def measure(events: int, rows: int, duplicates: float = 0.0) -> tuple[dict[str, float], Counter[str]]:
    """Microseconds of processor time for each payment by stage, and of the writing by statement; batches of ``rows``.

    Raises:
        TotalsError: a duplicate was kept, or a payment was not.
    """
    spent: dict[str, float] = defaultdict(float)
    statements: Counter[str] = Counter()
    layout, hide, chunks, offset = Layout(CONTRACT["payments"]), hider(b"not secret"), list[Chunk](), 0

    def stage(name: str, began: float) -> float:
        now = time.process_time()
        spent[name] += now - began
        return now

    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder) / "warehouse.duckdb", datetime.now(UTC))
        writer.connection = Timed(writer.connection, statements)

        def write() -> None:
            began = time.process_time()
            writer.apply(chunks, datetime.now(UTC), lambda _: None)
            stage("writing", began)
            chunks.clear()

        for count, data in batches(events, duplicates):
            began = time.process_time()
            records = Records.together(unpacked(data))
            began = stage("unpacking", began)
            decoded = decode(records.values, layout, Span(EARLIEST_MS, records.times))
            frame = decoded.frame.with_columns((pl.col("row") + offset).alias("offset_at"))
            began = stage("decoding", began)
            chunks.append(Chunk("payments", 0, offset, offset + count, keyed(frame, hide), []))
            stage("hiding buyers", began)
            offset += count
            if sum(len(chunk.frame) for chunk in chunks) >= rows:
                write()
        write()
        (kept,) = writer.connection.execute("SELECT count(*) FROM payment").fetchone()
        if kept != events:
            raise TotalsError(f"{kept} payments were kept of {events}.")
        writer.close()
    return {name: seconds / events * 1e6 for name, seconds in spent.items()}, Counter({name: seconds / events * 1e6 for name, seconds in statements.items()})


def main(arguments: list[str] | None = None) -> int:
    """Measure and print. Returns the exit code."""
    options = argparse.ArgumentParser(prog="python -m benchmarks stages", description="Processor time for each payment, stage by stage.")
    options.add_argument("--events", type=int, default=600_000, help="payments (default: %(default)s)")
    options.add_argument("--rows", type=int, default=150_000, help="payments in a batch (default: %(default)s)")
    options.add_argument("--duplicates", type=float, default=0.0, help="share of the payments that come once more (default: none)")
    given = options.parse_args(arguments)
    tune_interpreter()
    with installed():
        stages, statements = measure(given.events, given.rows, given.duplicates)
    for name, microseconds in stages.items():
        print(f"{microseconds:7.2f} µs  {name}")
    print(f"{sum(stages.values()):7.2f} µs  together\n\nof writing, the largest:")
    for name, microseconds in statements.most_common(8):
        print(f"{microseconds:7.2f} µs  {name}")
    return 0
