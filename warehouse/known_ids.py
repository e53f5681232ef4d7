"""Which ids are among the kept events: asked of a Bloom filter first, and of the table only where that cannot say no.

The filter lives in memory only. It is made from the table at the start, and anew whenever it is full, so that no crash can make it miss an id. That takes
a thread of its own, for seconds where many millions are kept; until it is ready, every id may be known.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor

import duckdb
import numpy as np
import polars as pl

from warehouse.bloom import BloomFilter, Hashes

log = logging.getLogger(__name__)

LEAST = 2_000_000
ROOM = 2
"""How many times as many ids as there are the filter has room for."""

SLICE = 100_000


class KnownIds:
    """The ids in a ``column`` of a ``table``. Ids that a rolled-back transaction added stay in the filter, which costs a search and no more."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, column: str, bits_an_id: int = 32) -> None:
        self.table, self.column, self.bits_an_id = table, column, bits_an_id
        self.maker = ThreadPoolExecutor(1, f"known-{table}")
        self.filter: BloomFilter | None = None
        self.ending = False
        self._begin(connection)

    def _begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        count = int(connection.execute(f"SELECT count({self.column}) FROM {self.table}").fetchall()[0][0])
        self.next = BloomFilter(max(count * ROOM, LEAST), self.bits_an_id)
        # What is added from now on goes into it at once; what is in the table now, by the other thread.
        self.making: Future[None] | None = self.maker.submit(self._on_maker, connection.cursor(), self.next)
        if not count:
            self.making.result()

    def _on_maker(self, cursor: duckdb.DuckDBPyConnection, made: BloomFilter) -> None:
        with cursor:
            reader = cursor.sql(f"SELECT hash({self.column}) AS hash FROM {self.table} WHERE {self.column} IS NOT NULL").to_arrow_reader(SLICE)
            for batch in reader:
                if self.ending:
                    return
                made.fill(batch.column("hash").to_numpy(zero_copy_only=False))

    def _settle(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take the next filter once it is ready; begin another where this one is full."""
        if self.making is not None and self.making.done():
            # A disk that is full ends the database under the other thread, and what that made is not whole.
            failure = self.making.exception()
            self.making = None
            if failure is None:
                self.filter = self.next
            else:
                log.warning("The filter of %s.%s could not be made and is made again: %r", self.table, self.column, failure)
        if self.making is None and (self.filter is None or self.filter.full):
            self._begin(connection)

    def add(self, connection: duckdb.DuckDBPyConnection, batch: str) -> Hashes:
        """Add the ids of the table ``batch``, which are not in the own table yet; gives the hashes of those that may have been known."""
        self._settle(connection)
        hashes = self._hashes(connection, batch)
        known = self.filter.add(hashes) if self.filter else np.ones(len(hashes), np.bool_)
        if self.making is not None:
            self.next.add(hashes)
        return hashes[known]

    def among(self, connection: duckdb.DuckDBPyConnection, batch: str) -> Hashes:
        """The same without adding them."""
        self._settle(connection)
        hashes = self._hashes(connection, batch)
        return hashes[self.filter.may_have(hashes)] if self.filter else hashes

    def close(self) -> None:
        """End the other thread."""
        self.ending = True
        self.maker.shutdown(wait=True)

    def drop_known(self, connection: duckdb.DuckDBPyConnection, batch: str) -> None:
        """Add the ids of ``batch`` and delete from it those that are in the table."""
        maybe = self.add(connection, batch)
        if not len(maybe):
            return
        with_hashes(
            connection,
            maybe,
            f"CREATE OR REPLACE TEMP TABLE doubted AS SELECT {self.column} AS id, occurred_at FROM {batch} WHERE hash(id) IN (SELECT hash FROM maybe)",
        )
        run = connection.execute
        low, high = run("SELECT min(occurred_at), max(occurred_at) FROM doubted").fetchall()[0]
        # A duplicate mostly says the same time, and what is old is not looked at for it; an id that comes with another time is looked for everywhere.
        for spans, given in (("occurred_at BETWEEN $low AND $high", {"low": low, "high": high}), ("true", None)):
            run(
                f"CREATE OR REPLACE TEMP TABLE found AS SELECT {self.column} AS id FROM {self.table} WHERE {spans} AND {self.column} IN (SELECT id FROM doubted)",
                given,
            )
            run(f"DELETE FROM {batch} WHERE {self.column} IN (SELECT id FROM found)")
            run("DELETE FROM doubted WHERE id IN (SELECT id FROM found)")
            if run("SELECT count(*) FROM doubted").fetchall() == [(0,)]:
                break

    def _hashes(self, connection: duckdb.DuckDBPyConnection, batch: str) -> Hashes:
        found = connection.execute(f"SELECT hash({self.column}) AS hash FROM {batch} WHERE {self.column} IS NOT NULL").fetchnumpy()["hash"]
        return np.asarray(found, np.uint64)


def with_hashes(connection: duckdb.DuckDBPyConnection, hashes: Hashes, statement: str) -> None:
    """Run a statement that reads them from ``maybe``."""
    connection.register("maybe", pl.DataFrame({"hash": hashes}))
    try:
        connection.execute(statement)
    finally:
        connection.unregister("maybe")
