"""The writer on a lake, one of several. It differs in where changes go (appended) and in how progress is set (only where nobody else has set it).

A worker whose partitions were given to another, or that was frozen meanwhile, finds other offsets than those it holds, or its commit is refused.
"""

import tempfile
import time
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from warehouse.connection import WHERE_MISSING, WarehouseMissingError
from warehouse.ingest import Chunk, DeadLetters, Source, Writer, statement
from warehouse.lake import NAME, Lake, open_lake
from warehouse.lake_errors import ConflictError, NotLeadingError, away, conflicts
from warehouse.merging import AGGREGATES
from warehouse.transaction import Transaction

TOGETHER = ("payments", "errors")
"""Topics whose partitions of one number are read by one worker and have their progress in one table: what a failure counts depends on both."""

TRIES = 50
"""How often a transaction that a leader's has got in the way of is begun anew."""

PATIENCE_SECONDS = 20.0
"""How long a worker holds its batches back at the most: whoever asked for it may have died."""

PAUSE_SECONDS = 0.1

ATTACHED_SECONDS = 120.0
"""How long a lake stays attached. DuckLake keeps what it knows of every snapshot that it met, tens of megabytes a minute where several workers commit."""

Partition = tuple[str, int]


class LakeWriter(Writer):
    """A writer on a lake. Progress is only written for partitions that it was told to ``hold``."""

    shared = True
    memory_mb = 512

    def __init__(self, lake: Lake, now: datetime, *, may_begin: bool = True) -> None:
        self.lake, self.path = lake, Path(lake.target)
        self.worker = str(uuid.uuid4())
        self.held: dict[Partition, int] = {}
        self.known = {}
        self.raised: set[tuple[str, object]] = set()
        self.raising: set[tuple[str, object]] = set()
        """Versions that are above the first one, and those that will be with the commit."""
        self.broken: list[duckdb.DuckDBPyConnection] = []
        """Connections to databases that DuckDB has invalidated: to close one would abort the process."""
        self._begin(now)
        if not may_begin and not self.sources():
            self.close()
            raise WarehouseMissingError(f"{lake.target} is empty, but something was published where it publishes. {WHERE_MISSING}")

    @property
    def folder(self) -> Path:
        """The system's, for a lake has none."""
        return Path(tempfile.gettempdir())

    @property
    def displaced(self) -> bool:
        """Never: a lake has no file of its own."""
        return False

    @property
    def worn(self) -> bool:
        """Whether it is to be attached anew."""
        return self.stopped or time.monotonic() > self.opened_at + ATTACHED_SECONDS

    def _open(self) -> None:
        self.connection = open_lake(self.lake, memory_limit=f"{self.memory_mb}MB", first=statement("macros"))
        self.opened_at = time.monotonic()

    def reopen(self) -> None:
        """Connect anew. What was about to be committed may be committed: then other offsets are held than the lake has."""
        with self.in_use, self.in_backup:
            if self.connection not in self.broken:
                with suppress(duckdb.Error):
                    self.connection.close()
            self._open()
        self.stopped = False

    def failed(self, error: duckdb.Error) -> None:
        """Note what an error leaves behind: after one of the catalog's the connection is no longer of use."""
        if isinstance(error, (duckdb.FatalException, duckdb.InternalException)):
            self.broken.append(self.connection)
        self.stopped = self.connection in self.broken or away(error)
        self._grant(error)

    def close(self) -> None:
        """Let the lake go."""
        if self.known:
            self._end_filters()
        if self.connection not in self.broken:
            self.connection.close()

    def hold(self, offsets: Mapping[Partition, int]) -> bool:
        """Read on from these offsets. Where others have written meanwhile the filters of known ids are made anew."""
        foreign = not offsets.items() <= self.held.items()
        if foreign:
            if self.known:
                self._end_filters()
            self._make_filters()
        self.held = dict(offsets)
        return foreign

    def pass_markers(self, positions: Mapping[Partition, int]) -> None:
        """Note how far partitions are read where only markers of transactions come after the last record: else nobody else sees that they are read to the end.

        Raises:
            ConflictError: another worker has written of these partitions.
        """
        further = {key: at for key, at in positions.items() if at > self.held.get(key, at)}
        if not further:
            return
        with self.transaction():
            self._check(further.keys())
            for key, at in further.items():
                self.connection.execute(f"UPDATE {self._offsets(*key)} SET next_offset = ? WHERE topic = ?", [at, key[0]])
        self.held |= further

    def apply(self, chunks: Sequence[Chunk], now: datetime, send_dead_letters: DeadLetters) -> None:
        """Write one batch.

        Raises:
            ConflictError: another worker has written of these partitions; nothing was written.
        """
        patient_until = time.monotonic() + PATIENCE_SECONDS
        for _ in range(TRIES):
            self.raising = set()
            try:
                self._wait_for_pause(patient_until)
                super().apply(chunks, now, send_dead_letters)
            except duckdb.Error as error:
                # Perhaps the leader's work came in between, perhaps another worker's: then the next try finds other offsets.
                if not conflicts(error):
                    raise
                # Not the error itself: it would hold what led to it, with the batch and the connection, and be held by it.
                last = str(error)
            else:
                self.raised |= self.raising
                self.held |= {key: max(c.next_offset for c in chunks if (c.topic, c.partition) == key) for key in {(c.topic, c.partition) for c in chunks}}
                return
        raise ConflictError(f"Others were faster {TRIES} times in a row: {last}")

    def _wait_for_pause(self, patient_until: float) -> None:
        while self.connection.execute("SELECT asked FROM pause").fetchall() == [(True,)] and time.monotonic() < patient_until:
            time.sleep(PAUSE_SECONDS)

    def alone(self, work: Callable[[], None]) -> None:
        """Do what would get in the way of others' batches, while they hold back. Those under way come to their end first."""
        self._ask_for_pause(asked=True)
        try:
            patient_until = time.monotonic() + PATIENCE_SECONDS / 2
            while True:
                try:
                    with self.leading():
                        work()
                except duckdb.Error as error:
                    if not conflicts(error) or time.monotonic() > patient_until:
                        raise
                    time.sleep(PAUSE_SECONDS)
                else:
                    return
        finally:
            self._ask_for_pause(asked=False)

    def _ask_for_pause(self, *, asked: bool) -> None:
        with self.transaction():
            self.connection.execute("UPDATE pause SET asked = ?", [asked])

    def _progressed(self, chunks: Sequence[Chunk]) -> dict[Partition, Source]:
        self.fresh = self._fresh_now()
        return self._check({(chunk.topic, chunk.partition) for chunk in chunks})

    def _check(self, ours: Collection[Partition]) -> dict[Partition, Source]:
        """Progress in the tables of these partitions, where it is as this worker holds it."""
        if foreign := set(ours) - self.held.keys():
            raise ConflictError(f"{sorted(foreign)} are not held by this worker.")
        tables = sorted({self._offsets(*key) for key in ours})
        found = self._sources_in(" UNION ALL ".join(f"FROM {table}" for table in tables))
        moved = [f"{key[0]}/{key[1]}: {self.held[key]}, {s.next_offset}" for key, s in found.items() if self.held.get(key, s.next_offset) != s.next_offset]
        if moved:
            raise ConflictError(f"Others have read on. Held here, set in the lake: {'; '.join(moved)}.")
        return found

    def _offsets(self, topic: str, partition: int) -> str:
        return f"progress.of_{partition}" if topic in TOGETHER else f"progress.{topic}_{partition}"

    def sources(self) -> dict[Partition, Source]:
        """Progress by (topic, partition), of all workers."""
        return self._sources_in("FROM source_offset")

    def _sources_in(self, rows: str) -> dict[Partition, Source]:
        rows = f"SELECT topic, partition, next_offset, topic_id, event_time_max FROM ({rows}) WHERE next_offset IS NOT NULL"
        return {(topic, partition): Source(*rest) for topic, partition, *rest in self.connection.execute(rows).fetchall()}

    def begin_source(self, topic: str, partition: int, offset: int, topic_id: str | None) -> None:
        """Note where a partition begins, and make the table for its progress where there is none."""
        table = self._offsets(topic, partition)
        for _ in range(TRIES):
            try:
                with self.transaction():
                    self._make_room(table, TOGETHER if topic in TOGETHER else (topic,), partition)
                    begun = "next_offset IS NOT NULL AND (next_offset > 0 OR accepted > 0)"
                    self.connection.execute(
                        f"UPDATE {table} SET next_offset = if({begun}, next_offset, $offset), topic_id = if({begun}, topic_id, $topic_id) WHERE topic = $topic",
                        {"offset": offset, "topic_id": topic_id, "topic": topic},
                    )
            except duckdb.Error as error:
                # Another worker has made the table, or the view, first.
                if not conflicts(error) and "already exists" not in str(error):
                    raise
            else:
                return
        raise ConflictError(f"{topic}/{partition} could not be begun: others were faster {TRIES} times in a row.")

    def _make_room(self, table: str, topics: Sequence[str], partition: int) -> None:
        run = self.connection.execute
        made = {
            f"progress.{name}"
            for (name,) in run(f"SELECT table_name FROM duckdb_tables() WHERE database_name = '{NAME}' AND schema_name = 'progress'").fetchall()
        }
        if table in made:
            return
        # With all its rows at once: rows that two workers insert would not conflict, and tables do.
        run(
            f"CREATE TABLE {table} AS SELECT unnest($topics) AS topic, $partition::INTEGER AS partition, {EMPTY}",
            {"topics": list(topics), "partition": partition},
        )
        run(
            "CREATE OR REPLACE VIEW source_offset AS SELECT * FROM ("
            + " UNION ALL ".join(f"FROM {name}" for name in sorted({*made, table}))
            + ") WHERE next_offset IS NOT NULL"
        )

    def _advance(self, rows: list[tuple[str, int, int, datetime | None, int, int, int, int]]) -> None:
        self.connection.register("advanced", pl.DataFrame(rows, schema=ADVANCED, orient="row"))
        # One statement a table: each costs a look at the catalog and writes the row anew.
        for table in sorted({self._offsets(topic, partition) for topic, partition, *_ in rows}):
            self.connection.execute(
                f"UPDATE {table} t SET next_offset = greatest(t.next_offset, a.next_offset), "
                "event_time_max = greatest(coalesce(t.event_time_max, a.event_time_max), a.event_time_max), accepted = t.accepted + a.accepted, "
                "duplicate = t.duplicate + a.duplicate, late = t.late + a.late, refused = t.refused + a.refused "
                "FROM advanced a WHERE a.topic = t.topic AND a.partition = t.partition"
            )
        self.connection.unregister("advanced")

    def _renew_purchases(self) -> None:
        self.connection.execute(statement("failed_purchases_lake").format(fresh=self.fresh))

    def _add_changes(self, table: str) -> None:
        changed = " OR ".join(f'"{m}" <> 0' for m in AGGREGATES[table].measures)
        self.connection.execute(f"INSERT INTO {self.fresh}.{table} BY NAME SELECT * FROM change_{table} WHERE {changed}")

    def _add_names(self) -> None:
        self.connection.execute(f"INSERT INTO {self.fresh}.unknown_name BY NAME FROM met_name")

    def _fresh_now(self) -> str:
        """The schema that changes are appended to, as the open transaction sees it. One that sees another than is open by its end is refused."""
        return f"fresh_{self.connection.execute('SELECT open_part FROM leader').fetchall()[0][0]}"

    def raise_versions(self, table: str, key: str, touched: Sequence[object]) -> None:
        """Mark hours or tables as ahead of what is published: versions are sums, so that two workers at once raise them twice."""
        fresh, run = self._fresh_now(), self.connection.execute
        # What this writer has raised before is above its first version already, and need not be looked up.
        known = [k for k in touched if (table, k) in self.raised]
        if known:
            run(f"INSERT INTO {fresh}.{table} SELECT unnest($known), 1", {"known": known})
        if new := [k for k in touched if (table, k) not in self.raised]:
            run(
                f"INSERT INTO {fresh}.{table} SELECT k, greatest($first - coalesce(version, 0), 1) FROM (SELECT unnest($new) AS k) LEFT JOIN {table} ON k = {key}",
                {"new": new, "first": self.first_version},
            )
            self.raising |= {(table, k) for k in new}

    def lead(self) -> None:
        """Begin to lead; whoever led before is refused from now on."""
        with self.transaction():
            self.connection.execute("UPDATE leader SET worker = ?, term = term + 1", [self.worker])
            # One that died may have left it so.
            self.connection.execute("UPDATE pause SET asked = false")

    def check_leads(self, connection: duckdb.DuckDBPyConnection) -> None:
        """See that this worker leads, on a connection of the caller's.

        Raises:
            NotLeadingError: another one does.
        """
        if connection.execute("SELECT worker FROM leader").fetchall() != [(self.worker,)]:
            raise NotLeadingError("Another worker leads by now.")

    def leading(self) -> Transaction:
        """A transaction that is refused where another worker leads by now.

        Raises:
            NotLeadingError: at its beginning.
        """
        return LeadersTransaction(self.connection, self.worker)


class LeadersTransaction(Transaction):
    """One of the leading worker. It writes the leader's row, so that of two that take themselves for it one is refused."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, worker: str) -> None:
        super().__init__(connection)
        self.worker = worker

    def __enter__(self) -> None:
        super().__enter__()
        mine = [(0,)]
        try:
            mine = self.connection.execute("UPDATE leader SET turn = turn + 1 WHERE worker = ?", [self.worker]).fetchall()
        finally:
            if mine != [(1,)]:
                with suppress(duckdb.Error):
                    self.connection.rollback()
        if mine != [(1,)]:
            raise NotLeadingError("Another worker leads by now.")


ADVANCED = {
    "topic": pl.String(),
    "partition": pl.Int32(),
    "next_offset": pl.Int64(),
    "event_time_max": pl.Datetime("us"),
    "accepted": pl.Int64(),
    "duplicate": pl.Int64(),
    "late": pl.Int64(),
    "refused": pl.Int64(),
}
EMPTY = (
    "NULL::BIGINT AS next_offset, NULL::VARCHAR AS topic_id, NULL::TIMESTAMP AS event_time_max, "
    "0::BIGINT AS accepted, 0::BIGINT AS duplicate, 0::BIGINT AS late, 0::BIGINT AS refused, 0::BIGINT AS lost"
)
