"""The one writer: a batch of decoded chunks becomes rows, aggregates and progress in a single transaction.

Because offsets are committed with the rows, a crash at any point leaves a state from which reading on is exact: what is below
``next_offset`` has been counted once, what is above it has not been counted.
"""

import logging
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from warehouse import commands
from warehouse.connection import WHAT_TO_DO, WHERE_MISSING, WarehouseMissingError, lacks_memory, open_file
from warehouse.keys import key_of
from warehouse.known_ids import PURCHASE_BITS, KnownIds, with_hashes
from warehouse.merging import AGGREGATES, merge
from warehouse.transaction import Transaction

log = logging.getLogger(__name__)

MOST_MEMORY_MB = 1024

SMALL_ROWS = 20_000
"""Events of a topic in a batch up to which copying them together costs nothing to speak of."""

SPREAD = 2**32
"""Among so many versions one is drawn that was not published. An hour has thousands, and all of these are seven weeks of milliseconds."""

MARGIN = timedelta(days=1)
"""Raw events stay this much longer than their like is accepted: what was decoded meanwhile still meets its duplicates."""

PAYMENT_FIELDS = (
    "event_id, purchase_id, attempt, occurred_at, market_id, merchant_id, user_key, channel, status, amount, response_code, issuer, latency_ms, reverses"
)
FAILURE_FIELDS = "event_id, purchase_id, attempt, occurred_at, service, code, market_id, merchant_id, user_key, channel, amount, issuer, region"


@dataclass(frozen=True)
class Refused:
    """A record that was not accepted, with its bytes for the topic ``dead-letters``."""

    offset: int
    reason: str
    detail: str
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True)
class Chunk:
    """Consecutive records of one partition, decoded. ``frame`` has the fields of the topic's struct, keys (Binary) for the ids of events, and ``offset_at``.

    Of commands also the bytes, as ``record``.
    """

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    frame: pl.DataFrame
    refused: list[Refused] = field(default_factory=list)
    lost: tuple[int, int] | None = None
    """Offsets from, to that vanished before this chunk, half open."""
    earliest: datetime | None = None
    """From when event times were accepted at its decoding, naive UTC; None: from ever."""


@dataclass(frozen=True)
class Source:
    """Progress in one partition; ``event_time_max`` is naive UTC."""

    next_offset: int
    topic_id: str | None
    event_time_max: datetime | None


@dataclass(frozen=True)
class Line:
    """State of the whole line, times naive UTC."""

    warehouse_id: str
    watermark: datetime | None
    detected_through: datetime | None
    retained_from: datetime | None
    clock_at: datetime | None

    @property
    def deleted_before(self) -> datetime | None:
        """Raw events before this are gone; those from here to ``retained_from`` are refused already, but still tell duplicates."""
        return self.retained_from - MARGIN if self.retained_from else None


DeadLetters = Callable[[list[tuple[str, int, Refused]]], None]


class Writer:
    """Owns the warehouse file. Not for several threads at once: the worker calls it on its database thread only.

    Where it ``may_begin`` no new warehouse, a file that is missing or empty raises a WarehouseMissingError.
    """

    shared = False
    """Whether other workers may write too."""

    memory_mb = 112
    """What DuckDB may take. With 96 a batch failed in which every payment was of a purchase that failed."""

    def __init__(self, path: Path, now: datetime, *, may_begin: bool = True) -> None:
        if not may_begin and not path.exists():
            raise WarehouseMissingError(f"{path} is missing, but something was published where it publishes. {WHERE_MISSING}")
        self.path = path
        self._begin(now)
        if self.connection.execute("SELECT count(*) FROM line").fetchone() == (0,):
            if not may_begin:
                self.close()
                raise WarehouseMissingError(f"{path} is empty, but something was published where it publishes. {WHERE_MISSING}")
            self.connection.execute("INSERT INTO line VALUES (?, ?, NULL, NULL, NULL, NULL)", [str(uuid.uuid4()), _naive(now)])

    def _begin(self, now: datetime) -> None:
        self.stopped = False
        """Whether DuckDB has stopped the database, as it does when a checkpoint meets a full disk."""
        self.in_use = threading.Lock()
        """Held while another thread reads through a cursor: the file cannot be opened anew meanwhile."""
        self.in_backup = threading.Lock()
        """As ``in_use``, while a backup is copied."""
        self._open()
        # Versions name published files. From this on they are higher than any that was given before: what a backup was restored over, or
        # another warehouse, may have published other rows under the next number.
        self.first_version = self._first_version(int(now.timestamp() * 1000))

    def _first_version(self, now: int) -> int:
        """The wall, in ms. Where it is behind the one that gave the newest version, further versions may be out already, and nothing here tells which: then one that nobody has met."""
        both = "SELECT version FROM hour_version UNION ALL SELECT version FROM table_version"
        ((newest,),) = self.connection.execute(f"SELECT max(version) FROM ({both})").fetchall()
        return now if newest is None or newest < now else newest + 1 + secrets.randbelow(SPREAD)

    def _open(self) -> None:
        self.connection = open_file(self.path, memory_limit=f"{self.memory_mb}MB")
        self.opened = identity_of(self.path)
        self.connection.execute(statement("macros"))
        self._make_filters()

    def _make_filters(self) -> None:
        self.known = {table: KnownIds(self.connection, table, "event_id", self.folder) for table in ("payment", "failure")}
        self.paid = KnownIds(self.connection, "payment", "purchase_id", self.folder, PURCHASE_BITS)

    @property
    def folder(self) -> Path:
        """Where it may keep files that go with the process."""
        return self.path.parent

    @property
    def worn(self) -> bool:
        """Whether it is to be opened anew before it is used again."""
        return self.stopped

    @property
    def displaced(self) -> bool:
        """Whether the file was removed, or another put in its place: what is written goes into one without a name, which ends with the process."""
        try:
            return identity_of(self.path) != self.opened
        except OSError:
            # A disk that does not answer tells nothing.
            return False

    def reopen(self) -> None:
        """Open a stopped database anew; what was committed is there, and nothing else.

        Raises:
            WarehouseMissingError: the file was removed, or another put in its place.
        """
        if self.displaced:
            raise WarehouseMissingError(f"{self.path} was removed or replaced while a worker wrote to it. {WHAT_TO_DO}")
        with self.in_use, self.in_backup:
            self.close()
            self._open()
        self.stopped = False

    def failed(self, error: duckdb.Error) -> None:
        """Note what an error of DuckDB leaves behind."""
        self.stopped = isinstance(error, duckdb.FatalException)
        self._grant(error)

    def _grant(self, error: duckdb.Error) -> None:
        """Twice the memory where there was too little: the batch would be tried again for ever."""
        if not lacks_memory(error) or self.memory_mb >= MOST_MEMORY_MB:
            return
        self.memory_mb *= 2
        log.warning("DuckDB may take %s MB from now on: %s", self.memory_mb, str(error).splitlines()[0])
        # One that is stopped is opened anew with it.
        with suppress(duckdb.Error):
            self.connection.execute(f"SET memory_limit = '{self.memory_mb}MB'")

    def hold(self, _offsets: Mapping[tuple[str, int], int]) -> bool:
        """These partitions are read on from these offsets of the warehouse's, and no others are; says whether others may have written of them."""
        return False

    def leading(self) -> Transaction:
        """A transaction for what only one worker does: closing minutes, publishing, letting go. This one is alone."""
        return self.transaction()

    def alone(self, work: Callable[[], None]) -> None:
        """Do what would get in the way of other workers' batches, as the leading one, in one transaction."""
        with self.leading():
            work()

    def close(self) -> None:
        """Checkpoint and let the file go."""
        self._end_filters()
        self.connection.close()

    def _end_filters(self) -> None:
        for ids in (*self.known.values(), self.paid):
            ids.close()

    def line(self) -> Line:
        """The line's state."""
        # Fetched whole: while a result is unfinished, DuckDB refuses a relation on the same connection.
        return Line(*self.connection.execute("SELECT warehouse_id, watermark, detected_through, retained_from, clock_at FROM line").fetchall()[0])

    def sources(self) -> dict[tuple[str, int], Source]:
        """Progress by (topic, partition)."""
        rows = self.connection.execute("SELECT topic, partition, next_offset, topic_id, event_time_max FROM source_offset").fetchall()
        return {(topic, partition): Source(*rest) for topic, partition, *rest in rows}

    def user_keys(self) -> list[str]:
        """Fingerprints of the keys that buyers were hidden with, the newest last."""
        return [name for (name,) in self.connection.execute("SELECT fingerprint FROM user_key ORDER BY used_from").fetchall()]

    def use_key(self, fingerprint: str, now: datetime) -> None:
        """Note that buyers are hidden with this key from now on."""
        with self.transaction():
            # Later than the one before, whatever the clock says: the newest is the one that counts.
            row = "SELECT ?, greatest(?, max(used_from) + INTERVAL 1 MICROSECOND) FROM user_key"
            self.connection.execute(f"INSERT INTO user_key {row}", [fingerprint, _naive(now)])

    def newest_refusals(self, records: int) -> dict[tuple[str, int], tuple[int, int]]:
        """How many of the newest ``records`` of each partition there were, and how many of them were refused."""
        rows = self.connection.execute(statement("newest_refusals"), {"records": records}).fetchall()
        return {(topic, partition): (seen, refused) for topic, partition, seen, refused in rows}

    def uncounted(self, chunk: Chunk) -> list[int]:
        """Offsets of payments and errors that are neither kept nor refused, though of a time of which everything is kept: none of them was ever counted."""
        table, run = KEPT[chunk.topic], self.connection.execute
        self.connection.register("looked_at", chunk.frame.select("event_id", "occurred_at", "offset_at").to_arrow(compat_level=pl.CompatLevel.newest()))
        try:
            run(
                "CREATE OR REPLACE TEMP TABLE unmet AS SELECT event_id::UUID AS event_id, make_timestamp(occurred_at * 1000) AS occurred_at, offset_at FROM looked_at"
            )
        finally:
            self.connection.unregister("looked_at")
        # What is kept of their own times first: only an event that came twice, with two times, is looked for among all that is kept.
        for within in ("WHERE occurred_at BETWEEN (SELECT min(occurred_at) FROM unmet) AND (SELECT max(occurred_at) FROM unmet)", ""):
            if run("SELECT 1 FROM unmet LIMIT 1").fetchall():
                run(f"DELETE FROM unmet WHERE event_id IN (SELECT event_id FROM (FROM {table} {within}) WHERE event_id IN (SELECT event_id FROM unmet))")
        left = run(
            "SELECT occurred_at, offset_at FROM unmet WHERE offset_at NOT IN (SELECT offset_at FROM rejected WHERE topic = ? AND partition = ?) ORDER BY offset_at",
            [chunk.topic, chunk.partition],
        ).fetchall()
        run("DROP TABLE temp.unmet")
        # Asked after what is kept: what is let go meanwhile is known to be gone.
        retained_from = self.line().retained_from
        return [offset for at, offset in left if retained_from is None or at >= retained_from]

    def apply(self, chunks: Sequence[Chunk], now: datetime, send_dead_letters: DeadLetters) -> None:
        """Write one batch. Refusals are sent before COMMIT, so that none is lost; after a crash they may be sent again, under the same key."""
        with self.transaction():
            known = self._progressed(chunks)
            fresh = [_from(chunk, known[chunk.topic, chunk.partition].next_offset if (chunk.topic, chunk.partition) in known else 0) for chunk in chunks]
            names = sorted({(c.topic, c.partition) for c in fresh})
            for topic in ARRIVING:
                self._arrive(topic, fresh, names)
            self._aggregate()
            letters = [(c.topic, c.partition, r) for c in fresh for r in c.refused]
            letters += [(c.topic, c.partition, r) for c in fresh if c.topic == "commands" for r in self._commands(c, now)]
            self._progress(fresh, names, letters)
            for chunk in fresh:
                if chunk.lost:
                    self._lose(chunk.topic, chunk.partition, *chunk.lost, "gone before they were read", now)
            if letters:
                self._reject(letters, now)
                send_dead_letters(letters)
            self._let_batch_go()

    def _let_batch_go(self) -> None:
        """Drop the batch's own tables with the commit: they would be in memory beside those of the next one. What was learnt of crowds stays."""
        self.connection.execute("DROP VIEW temp.batch_payment")
        for topic in ARRIVING:
            self.connection.unregister(f"arrived_{topic}")
        own = "FROM duckdb_tables() WHERE temporary AND table_name <> 'crowd'"
        made = self.connection.execute(f"SELECT string_agg('DROP TABLE temp.' || table_name, '; ') {own}").fetchall()[0][0]
        if made:
            self.connection.execute(made)

    def pass_markers(self, positions: Mapping[tuple[str, int], int]) -> None:
        """These partitions are read up to there, with nothing but markers of transactions after the last record."""
        with self.transaction():
            for (topic, partition), at in positions.items():
                self.connection.execute(
                    "UPDATE source_offset SET next_offset = greatest(next_offset, ?) WHERE topic = ? AND partition = ?", [at, topic, partition]
                )

    def _progressed(self, _chunks: Sequence[Chunk]) -> Mapping[tuple[str, int], Source]:
        """Progress of the partitions of these chunks at least, as the open transaction sees it."""
        return self.sources()

    def _offsets(self, _topic: str, _partition: int) -> str:
        """The table that holds the progress of a partition."""
        return "source_offset"

    def _reject(self, letters: list[tuple[str, int, Refused]], now: datetime) -> None:
        rows = [(topic, partition, r.offset, r.reason, r.detail[:500], _naive(now)) for topic, partition, r in letters]
        self.connection.register("refused", pl.DataFrame(rows, schema=REJECTED, orient="row"))
        self.connection.execute("INSERT INTO rejected SELECT * FROM refused")
        self.connection.unregister("refused")

    def begin_source(self, topic: str, partition: int, offset: int, topic_id: str | None) -> None:
        """Note where a partition begins, and which topic it belongs to, before the first record is read."""
        with self.transaction():
            self.connection.execute("DELETE FROM source_offset WHERE topic = ? AND partition = ? AND next_offset = 0 AND accepted = 0", [topic, partition])
            if not self.connection.execute("SELECT 1 FROM source_offset WHERE topic = ? AND partition = ?", [topic, partition]).fetchone():
                self.connection.execute("INSERT INTO source_offset VALUES (?, ?, ?, ?, NULL, 0, 0, 0, 0, 0)", [topic, partition, offset, topic_id])

    def name_topic(self, topic: str, partition: int, topic_id: str) -> None:
        """Note which topic a partition belongs to, where no broker could tell when it was begun."""
        with self.transaction():
            table = self._offsets(topic, partition)
            self.connection.execute(f"UPDATE {table} SET topic_id = ? WHERE topic = ? AND partition = ?", [topic_id, topic, partition])

    def move_source(self, topic: str, partition: int, offset: int, topic_id: str | None, cause: str, now: datetime) -> None:
        """Records vanished, or the topic or its log is another one: keep the range as lost and read on from ``offset``."""
        with self.transaction():
            self._lose(topic, partition, self.sources()[topic, partition].next_offset, offset, cause, now)
            table = self._offsets(topic, partition)
            self.connection.execute(f"UPDATE {table} SET next_offset = ?, topic_id = ? WHERE topic = ? AND partition = ?", [offset, topic_id, topic, partition])

    def _lose(self, topic: str, partition: int, low: int, high: int, cause: str, now: datetime) -> None:
        self.connection.execute("INSERT INTO lost_range VALUES (?, ?, ?, ?, ?, ?)", [topic, partition, low, high, cause, _naive(now)])
        table = self._offsets(topic, partition)
        self.connection.execute(f"UPDATE {table} SET lost = lost + ? WHERE topic = ? AND partition = ?", [max(high - low, 0), topic, partition])

    def transaction(self) -> Transaction:
        """BEGIN on entry; COMMIT on a clean exit, ROLLBACK otherwise."""
        return Transaction(self.connection)

    def _arrive(self, topic: str, chunks: list[Chunk], names: list[tuple[str, int]]) -> None:
        mine = [c for c in chunks if c.topic == topic and len(c.frame)]
        if mine:
            sources = np.repeat([names.index((c.topic, c.partition)) for c in mine], [len(c.frame) for c in mine])
            # Of the many small chunks of a live batch one is made: DuckDB takes them up one by one.
            arrived = pl.concat([c.frame for c in mine], rechunk=len(sources) < SMALL_ROWS).hstack([pl.Series("source", sources)])
            if topic in KEPT:
                arrived = self.known[KEPT[topic]].without_known(self.connection, arrived).rename({"user_id": "user_key"})
            self.connection.register(f"arrived_{topic}", arrived.to_arrow(compat_level=pl.CompatLevel.newest()))
            self.connection.execute(statement(f"arrive_{topic}"))
        else:
            self.connection.execute(_EMPTY[topic])

    def _aggregate(self) -> None:
        run = self.connection.execute
        run(statement("touched"))
        run(statement("counted_failures").format(target="counted_before"))
        for doubt in self.paid.among(self.connection, "first_failed"):
            with_hashes(self.connection, doubt.hashes, statement("copy_earlier_payments"), low=doubt.low, high=doubt.high)
        run(statement("copy_payments"))
        self.paid.add(self.connection, "batch_payment")
        run(f"INSERT INTO payment SELECT {PAYMENT_FIELDS} FROM batch_payment; INSERT INTO failure SELECT {FAILURE_FIELDS} FROM batch_failure")
        run(f"INSERT INTO touched_failure BY NAME SELECT {FAILURE_FIELDS} FROM batch_failure WHERE service = 'payment' AND purchase_id IS NOT NULL")
        run(statement("counted_failures").format(target="counted_after"))
        run(statement("failure_changes"))
        if crowds := run(statement("crowds")).fetchall()[0][0]:
            log.warning(
                "%s times a buyer without purchase_id had more events in a market and a day than a person has: no failed purchases are made of them", crowds
            )
        run(statement("renewed_purchases"))
        self._renew_purchases()
        for table in AGGREGATES:
            run(statement(f"change_{table}"))
            self._add_changes(table)
        if run(statement("met_names")).fetchall()[0][0]:
            run(statement("placed_names"))
            self._add_names()
            self.raise_versions("table_version", "name", ["unknown_name"])
        hours = [hour for (hour,) in run(statement("touched_hours")).fetchall() if hour is not None]
        self.raise_versions("hour_version", "hour_at", hours)

    def _renew_purchases(self) -> None:
        """Put ``renewed`` in the place of ``outdated``."""
        self.connection.execute(statement("failed_purchases"))

    def _add_changes(self, table: str) -> None:
        """Add ``change_<table>`` to an aggregate."""
        merge(self.connection, table)

    def _add_names(self) -> None:
        """Add ``met_name`` to the unknown names."""
        self.connection.execute(statement("unknown_names"))

    def raise_versions(self, table: str, key: str, touched: Sequence[object]) -> None:
        """Mark hours or tables as ahead of what is published."""
        if touched:
            run = self.connection.execute
            known = {"touched": list(touched), "first": self.first_version}
            run(f"UPDATE {table} SET version = greatest(version + 1, $first) WHERE list_contains($touched, {key})", known)
            run(f"INSERT INTO {table} SELECT k, $first FROM (SELECT unnest($touched) AS k) ANTI JOIN {table} ON k = {key}", known)

    def _commands(self, chunk: Chunk, now: datetime) -> list[Refused]:
        run = self.connection.execute
        refused = []
        for row in chunk.frame.iter_rows(named=True):
            identity = uuid.UUID(bytes=key_of(row["command_id"]))
            if run("SELECT 1 FROM command WHERE command_id = ?", [identity]).fetchone():
                continue
            said_at = _moment(row["occurred_at"])
            try:
                payload = commands.parse(row["kind"], row["payload"], said_at.replace(tzinfo=UTC))
            except commands.PayloadError as error:
                refused.append(Refused(row["offset_at"], "bad_payload", str(error), None, row["record"]))
                continue
            outcome = commands.apply(self.connection, identity, said_at, row["actor"], payload)
            done = outcome == commands.APPLIED or isinstance(payload, commands.MarketsImported)
            log.log(logging.INFO if done else logging.WARNING, "The command %s (%s): %s", row["command_id"], row["kind"], outcome)
            run("INSERT INTO command VALUES (?, ?, ?, ?, ?, ?, ?)", [identity, said_at, row["actor"], row["kind"], row["payload"], _naive(now), outcome])
            self.raise_versions("table_version", "name", list(SMALL_TABLES))
        return refused

    def _progress(self, chunks: list[Chunk], names: list[tuple[str, int]], letters: list[tuple[str, int, Refused]]) -> None:
        run = self.connection.execute
        run(statement("accepted"))
        accepted = {names[source]: (count, late) for source, count, late in run("SELECT source, count, late FROM accepted").fetchall()}
        rows = []
        for topic, partition in names:
            mine = [c for c in chunks if (c.topic, c.partition) == (topic, partition)]
            bad = sum((t, p) == (topic, partition) for t, p, _ in letters)
            arrived = sum(len(c.frame) + len(c.refused) for c in mine) - bad
            time = "now" if topic == "clock" else "occurred_at"
            times = [newest for c in mine if topic != "commands" and isinstance(newest := c.frame[time].max(), int)]
            latest = _moment(max(times)) if times else None
            fresh, late = accepted.get((topic, partition), (arrived if topic in ("commands", "clock") else 0, 0))
            if topic == "clock" and latest is not None:
                run("UPDATE line SET clock_at = greatest(coalesce(clock_at, $1), $1)", [latest])
            rows.append((topic, partition, max(c.next_offset for c in mine), latest, fresh, max(arrived - fresh, 0), late, bad))
        self._advance(rows)

    def _advance(self, rows: list[tuple[str, int, int, datetime | None, int, int, int, int]]) -> None:
        """Set the progress of partitions: topic, partition, next offset, newest event, and what to add to accepted, duplicate, late, refused."""
        run = self.connection.execute
        for topic, partition, *values in rows:
            if not run("SELECT 1 FROM source_offset WHERE topic = ? AND partition = ?", [topic, partition]).fetchone():
                run("INSERT INTO source_offset VALUES (?, ?, 0, NULL, NULL, 0, 0, 0, 0, 0)", [topic, partition])
            run(
                "UPDATE source_offset SET next_offset = greatest(next_offset, $1), event_time_max = greatest(coalesce(event_time_max, $2), $2), accepted = accepted + $3, "
                "duplicate = duplicate + $4, late = late + $5, refused = refused + $6 WHERE topic = $7 AND partition = $8",
                [*values, topic, partition],
            )


REJECTED = {
    "topic": pl.String(),
    "partition": pl.Int32(),
    "offset_at": pl.Int64(),
    "reason": pl.String(),
    "detail": pl.String(),
    "rejected_at": pl.Datetime("us"),
}
SMALL_TABLES = ("market", "operator_period", "promotion", "exclusion", "maintenance", "claim", "survey", "incident", "unknown_name", "report_edition")
"""Tables that are published whole when they change. The audit log stays in the warehouse."""

ARRIVING = ("payments", "errors", "service_load")
KEPT = {"payments": "payment", "errors": "failure"}
"""Topics of events with ids, and the tables that keep them."""

_EMPTY = {
    "payments": f"CREATE OR REPLACE TEMP VIEW batch_payment AS SELECT {PAYMENT_FIELDS}, 0 AS source, 0::BIGINT AS offset_at, 0::BIGINT AS row, occurred_at AS minute_at FROM payment LIMIT 0",
    "errors": f"CREATE OR REPLACE TEMP TABLE batch_failure AS SELECT {FAILURE_FIELDS}, 0 AS source, 0::BIGINT AS offset_at, 0::BIGINT AS row, occurred_at AS minute_at FROM failure LIMIT 0",
    "service_load": "CREATE OR REPLACE TEMP TABLE batch_load AS SELECT *, 0 AS source, 0::BIGINT AS offset_at, 0::BIGINT AS row, occurred_at AS minute_at FROM load_report LIMIT 0",
}


def _from(chunk: Chunk, next_offset: int) -> Chunk:
    if chunk.first_offset >= next_offset:
        return chunk
    return replace(
        chunk,
        first_offset=next_offset,
        next_offset=max(chunk.next_offset, next_offset),
        frame=chunk.frame.filter(pl.col("offset_at") >= next_offset),
        refused=[r for r in chunk.refused if r.offset >= next_offset],
        lost=None,
    )


def identity_of(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one under its name; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


@cache
def statement(name: str) -> str:
    """The SQL of a step of the writer, from ``statements/``."""
    return resources.files("warehouse").joinpath("statements", f"{name}.sql").read_text(encoding="utf-8")


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)
