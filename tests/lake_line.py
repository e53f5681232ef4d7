"""A lake of a test's own with workers on it: a catalog in PostgreSQL, a network of its own for each worker, and what the lake holds at the end."""

import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb
from kafka import KafkaConsumer, TopicPartition

from streams.ports import free_port
from streams.settings import Settings
from tests.cable import Cable
from tests.lakes import need_extensions, need_postgres
from tests.line_process import WorkerProcess
from tests.postgres_server import Postgres
from tests.recounting import TABLES, events_of, recounted, regions_of
from warehouse.lake import Lake, open_lake

SECRET = "not-secret"
COUNTED = "accepted + duplicate + refused"


class LakeLine:
    """Workers of one group on one lake, none of them started yet."""

    def __init__(self, base: Settings, folder: Path, postgres: Postgres, cables: list[Cable]) -> None:
        self.folder, self.postgres, self.cables = folder, postgres, cables
        self.settings = base.model_copy(update={"user_key": SECRET, "published": folder / "published", "lake_data": str(folder / "data")})
        self.workers = [WorkerProcess(self.settings, warehouse=Path(f"ducklake:postgres:{postgres.dsn(cable.port)}"), web_port=free_port()) for cable in cables]

    def ask(self, text: str) -> list[tuple[Any, ...]]:
        """What the lake answers, on a connection of its own that nothing cuts."""
        with open_lake(Lake(f"ducklake:postgres:{self.postgres.dsn()}", self.settings.lake_data), read_only=True) as connection:
            return connection.execute(text).fetchall()

    def ends(self, topic: str) -> dict[int, int]:
        """The end of each partition of a topic, as a reader of committed records sees it."""
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka, isolation_level="read_committed", group_id=None)
        try:
            name = self.settings.topic(topic)
            partitions = [TopicPartition(name, number) for number in consumer.partitions_for_topic(name) or ()]
            return {tp.partition: end for tp, end in consumer.end_offsets(partitions).items()}
        finally:
            consumer.close()

    def counted(self, topic: str = "") -> int:
        """Records of which the lake says that it has counted or refused them; of one topic, or of all but the clock's."""
        which = f"topic = '{topic}'" if topic else "topic <> 'clock'"
        try:
            return int(self.ask(f"SELECT coalesce(sum({COUNTED}), 0) FROM source_offset WHERE {which}")[0][0])
        except duckdb.Error:
            return 0

    def wait(self, what: Callable[[], object], seconds: float = 180) -> None:
        """Wait until it holds; fails with the ends of the logs."""
        deadline = time.monotonic() + seconds
        while not what():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s; {self.counted()} counted\n" + "\n".join(self.tail(worker) for worker in self.workers))
            self.revive()
            time.sleep(0.5)

    def revive(self) -> int:
        """Start anew what has ended, as a supervisor does; returns how many."""
        ended = [worker for worker in self.workers if worker.process is not None and worker.process.poll() is not None]
        for worker in ended:
            worker.start()
        return len(ended)

    def tail(self, worker: WorkerProcess, size: int = 3000) -> str:
        return f"--- {worker.log}\n{worker.log.read_text(errors='replace')[-size:]}" if worker.log.exists() else ""

    def differences(self) -> dict[str, list[Any]]:
        """Rows of each table that are not as a recount from the topics has them: some of them, empty where there are none."""
        events = events_of(self.settings)
        wanted = recounted(events["payments"], events["errors"], SECRET.encode(), regions_of(events["commands"]))
        found = {}
        for table, columns in TABLES.items():
            held = Counter(self.ask(f"SELECT {columns} FROM {table}"))
            # What is in one and not in the other, either way.
            if different := [*((held - wanted[table]).items()), *((wanted[table] - held).items())]:
                found[table] = [len(held), sum(wanted[table].values()), len(different), different[:4]]
        return found


@contextmanager
def lake_line(base: Settings, workers: int) -> Iterator[LakeLine]:
    """A catalog, cables and workers; all of it ends with the block. The test is skipped in words where a lake cannot be had."""
    need_postgres()
    need_extensions(Lake("ducklake:postgres:", ""))
    folder = Path(tempfile.mkdtemp(prefix="onnuri-lake-"))
    # PostgreSQL may run as another user than the test.
    folder.chmod(0o755)
    try:
        with ExitStack() as stack:
            postgres = stack.enter_context(Postgres(folder / "postgres"))
            cables = [stack.enter_context(Cable(("127.0.0.1", postgres.port))) for _ in range(workers)]
            line = LakeLine(base, folder, postgres, cables)
            stack.callback(lambda: [worker.kill() for worker in line.workers if worker.process is not None])
            stack.callback(lambda: [worker.process.send_signal(signal.SIGCONT) for worker in line.workers if worker.process is not None])
            yield line
    finally:
        shutil.rmtree(folder, ignore_errors=True)
