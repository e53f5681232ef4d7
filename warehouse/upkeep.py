"""What keeps a lake small: changes are added up, files merged, deletes written out, snapshots expired, and files that no snapshot needs removed.

The leading worker has it done beside its batches, on a connection of its own. Every statement is a transaction: what is interrupted is left as it was, and
files that it wrote are removed as orphans later. None of it changes what a reader sees, and none keeps another worker from appending.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

import duckdb

from warehouse.connection import passes
from warehouse.ingest import statement
from warehouse.lake import NAME, Lake, open_lake
from warehouse.lake_writer import ATTACHED_SECONDS, LeadersTransaction
from warehouse.settling import settle, turn
from warehouse.transaction import Transaction

log = logging.getLogger(__name__)

TIERS = (0, 1_000_000, 16_000_000, 256_000_000)
"""Bytes. Files between two of these are merged once there are ``MANY`` of them in a table, so that a row is written three times more at the most."""
MANY = 16

INLINED = 500
"""Rows of a table that the catalog itself may hold, and outdated ones: all of them are read at each look at the table."""

DELETED = 0.3
"""Share of a file's rows from which on it is written anew without those that are deleted."""

EXPIRED_AT_ONCE = 1_000
RECENT = timedelta(minutes=30)
"""So long every snapshot is kept; of older ones, the last of each hour. Workers make some two a second, each with files of its own."""
GRACE = timedelta(hours=1)
"""How long files stay after no snapshot needs them: a reader may still have one open."""
ORPHANED = timedelta(days=1)
"""From which age files that the catalog does not know are taken for left behind; younger ones may belong to a commit that is still to come."""

INDEXED = {"ducklake_file_column_stats": "table_id, column_id", "ducklake_data_file": "table_id"}

META = f"__ducklake_metadata_{NAME}"


class Upkeep:
    """Looks after a lake for the worker that leads it. Not for several threads at once, but for ``ending``."""

    def __init__(self, lake: Lake, worker: str, days: float) -> None:
        self.lake, self.worker, self.kept = lake, worker, timedelta(days=days)
        self.ending = False
        """Set from another thread: nothing more is begun."""
        self.part: int | None = None
        """What was turned away from and is not added up yet."""
        self.due: dict[str, datetime] = {}
        self.broken: list[duckdb.DuckDBPyConnection] = []
        self.connection = self._open()

    def _open(self) -> duckdb.DuckDBPyConnection:
        connection = open_lake(self.lake, memory_limit="512MB")
        self.opened_at = time.monotonic()
        connection.execute(statement("macros"))
        return connection

    def leading(self) -> Transaction:
        """A transaction that is refused where another worker leads by now."""
        return LeadersTransaction(self.connection, self.worker)

    def once(self, now: datetime) -> list[str]:
        """Do what is due at ``now`` (aware); returns what was done.

        What fails because of the catalog, a disk or another worker is due again the next time; a fault of DuckLake's, as it has some in what merges files, is logged and tried again when it would have been due anyway. The line goes on: nothing was changed.

        Raises:
            NotLeadingError: another worker leads.
        """
        done = []
        if time.monotonic() > self.opened_at + ATTACHED_SECONDS:
            self.close()
            self.connection = self._open()
        for name, every, do in self._duties(now):
            if self.ending:
                break
            if now < self.due.get(name, now):
                continue
            try:
                done += [f"{name} {what}" for what in do()]
            except duckdb.Error as error:
                if passes(error):
                    log.info("Upkeep of the lake, %s, is done later: %s", name, str(error).splitlines()[0])
                else:
                    log.exception("Upkeep of the lake, %s, failed and is tried again", name)
                    self.due[name] = now + every
                self._reopen(error)
            else:
                self.due[name] = now + every
        return done

    def close(self) -> None:
        """Let the lake go."""
        if self.connection not in self.broken:
            self.connection.close()

    def _reopen(self, error: duckdb.Error) -> None:
        if isinstance(error, (duckdb.FatalException, duckdb.InternalException)):
            # To close a database that DuckDB has invalidated would abort the process.
            self.broken.append(self.connection)
        self.close()
        self.connection = self._open()

    def _duties(self, now: datetime) -> list[tuple[str, timedelta, Callable[[], list[str]]]]:
        minute, hour = timedelta(minutes=1), timedelta(hours=1)
        return [
            ("index", timedelta(days=1), self._index),
            ("settle", minute, self._settle),
            ("flush", minute, self._flush),
            ("rewrite", hour, self._rewrite),
            ("merge", minute, self._merge),
            ("expire", timedelta(minutes=5), lambda: self._expire(now)),
            ("clean", hour, lambda: self._files("ducklake_cleanup_old_files", now - GRACE)),
            ("orphans", timedelta(days=1), lambda: self._files("ducklake_delete_orphaned_files", now - ORPHANED)),
        ]

    def _index(self) -> list[str]:
        """Have a PostgreSQL find what it knows of a table's files without reading what it knows of all: DuckLake asks for it in each statement, and makes no index."""
        if self.lake.postgres:
            for table, columns in INDEXED.items():
                self.connection.execute(f"CREATE INDEX IF NOT EXISTS onnuri_{table} ON {META}.{table} ({columns})")
        return []

    def _settle(self) -> list[str]:
        if self.part is None:
            self.part = turn(self)
        rows = settle(self, self.part)
        self.part = None
        return [f"{rows} rows"] if rows else []

    def _flush(self) -> list[str]:
        """Write rows that the catalog holds into files, of tables that have many, and let outdated ones go that no snapshot has.

        Only tables to which rows are added have many. One whose rows workers update, as they do the progress of partitions, had a row twice once in an hour
        of live load (DuckLake 1.5.5): written into a file and updated within a second, without a conflict.
        """
        run = self.connection.execute
        held: dict[tuple[str, str], int] = {}
        for schema, table, inlined in run(_INLINED).fetchall():
            ((rows, outdated),) = run(f"SELECT count(*) FILTER (end_snapshot IS NULL), count(end_snapshot) FROM {META}.{inlined}").fetchall()
            held[schema, table] = held.get((schema, table), 0) + rows
            if outdated > INLINED:
                run(_OUTDATED.format(inlined=inlined))
        many = [key for key, rows in held.items() if rows > INLINED]
        for schema, table in many:
            if self.ending:
                break
            run(f"CALL ducklake_flush_inlined_data('{NAME}', schema_name => '{schema}', table_name => '{table}')")
            run(f"CALL ducklake_rewrite_data_files('{NAME}', '{table}', schema => '{schema}', delete_threshold => {DELETED})")
        return [f"{schema}.{table}" for schema, table in many]

    def _rewrite(self) -> list[str]:
        """Write files anew of which many rows are deleted."""
        deleted = self.connection.execute(_DELETED).fetchall()
        for schema, table in deleted:
            if self.ending:
                break
            self.connection.execute(f"CALL ducklake_rewrite_data_files('{NAME}', '{table}', schema => '{schema}', delete_threshold => {DELETED})")
        return [f"{schema}.{table}" for schema, table in deleted]

    def _merge(self) -> list[str]:
        """Merge files of about one size, of tables that have many."""
        done: list[str] = []
        for low, high in pairwise(TIERS):
            for schema, table in self.connection.execute(_MANY, [low, high, MANY]).fetchall():
                if self.ending:
                    return done
                sizes = f"max_file_size => {high}" + f", min_file_size => {low}" * bool(low)
                self.connection.execute(f"CALL ducklake_merge_adjacent_files('{NAME}', '{table}', schema => '{schema}', {sizes})")
                done.append(f"{schema}.{table}")
        return done

    def _expire(self, now: datetime) -> list[str]:
        """Let snapshots go, but for recent ones, the last of each hour for as long as any are kept, and those that an edition of a report was made from."""
        gone = 0
        while not self.ending:
            old = [number for (number,) in self.connection.execute(_OLD, [now - min(RECENT, self.kept), now - self.kept, EXPIRED_AT_ONCE]).fetchall()]
            if not old:
                break
            self.connection.execute(f"CALL ducklake_expire_snapshots('{NAME}', versions => {old})")
            gone += len(old)
        return [f"{gone} snapshots"] if gone else []

    def _files(self, function: str, before: datetime) -> list[str]:
        found = self.connection.execute(f"CALL {function}('{NAME}', older_than => TIMESTAMPTZ '{before.isoformat()}')").fetchall()
        return [f"{len(found)} files"] if found else []


_TABLES = f"""{META}.ducklake_table t JOIN {META}.ducklake_schema s ON t.schema_id = s.schema_id AND t.end_snapshot IS NULL AND s.end_snapshot IS NULL"""
_INLINED = f"SELECT s.schema_name, t.table_name, i.table_name FROM {_TABLES} JOIN {META}.ducklake_inlined_data_tables i ON i.table_id = t.table_id"
_OUTDATED = f"""DELETE FROM {META}.{{inlined}} WHERE end_snapshot IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM {META}.ducklake_snapshot WHERE snapshot_id >= begin_snapshot AND snapshot_id < end_snapshot
)"""
_MANY = f"""SELECT s.schema_name, t.table_name FROM {_TABLES} JOIN {META}.ducklake_data_file f ON f.table_id = t.table_id AND f.end_snapshot IS NULL
WHERE f.file_size_bytes >= ? AND f.file_size_bytes < ? AND s.schema_name NOT LIKE 'fresh%' GROUP BY ALL HAVING count(*) >= ? ORDER BY ALL"""
_DELETED = f"""SELECT DISTINCT s.schema_name, t.table_name FROM {_TABLES} JOIN {META}.ducklake_delete_file d ON d.table_id = t.table_id AND d.end_snapshot IS NULL
ORDER BY ALL"""
_OLD = f"""SELECT snapshot_id FROM {META}.ducklake_snapshot WHERE snapshot_time::TIMESTAMPTZ < ?
AND snapshot_id NOT IN (SELECT manifest_sequence FROM report_edition WHERE manifest_sequence IS NOT NULL)
AND snapshot_id NOT IN (
    SELECT max(snapshot_id) FROM {META}.ducklake_snapshot WHERE snapshot_time::TIMESTAMPTZ >= ? GROUP BY date_trunc('hour', snapshot_time::TIMESTAMPTZ)
) AND snapshot_id < (SELECT max(snapshot_id) FROM {META}.ducklake_snapshot) ORDER BY 1 LIMIT ?"""
