"""Which ids are among the kept events: asked of Bloom filters first, and of the table only where they cannot say no, and only in the time they are of.

Filters end with the process. Each is of ids that came one after the other, so mostly of events of one time; when it is full it moves from memory to a file and
the next one is begun, and when none of its events is kept any more it goes. At the start they are made from the table, so that no crash can make them miss an id.
That takes a thread of its own, for seconds where many millions are kept; until it is done, every id may be known.
"""

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from warehouse.bloom import BloomFilter, Hashes, Places, words

log = logging.getLogger(__name__)

CAPACITY = 1_000_000
"""Ids in a filter."""

EVENT_BITS, PURCHASE_BITS = 32, 20
"""For each id. Of purchases it is asked for the few that fail for the first time, so one in ten thousand that looks known costs little."""

SLICE = 100_000
EVER = datetime.min, datetime.max.replace(microsecond=0)  # noqa: DTZ901  # naive UTC, as all times of the warehouse


@dataclass
class Segment:
    """A filter, and the span of the times, naive UTC, that its events say."""

    filter: BloomFilter
    low: datetime = field(default=EVER[1])
    high: datetime = field(default=EVER[0])

    def add(self, places: Places, low: datetime, high: datetime) -> None:
        """Add ids of events of this span."""
        self.filter.add(places)
        self.low, self.high = min(self.low, low), max(self.high, high)


@dataclass(frozen=True)
class Doubt:
    """Ids that may be those of kept events from ``low`` to ``high``."""

    hashes: Hashes
    low: datetime
    high: datetime


class KnownIds:
    """The ids in a ``column`` of a ``table``; full filters in ``folder``. Ids that a rolled-back transaction added stay in them, which costs a search and no more."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, column: str, folder: Path, bits_an_id: int = EVENT_BITS) -> None:
        self.table, self.column, self.folder, self.bits_an_id = table, column, folder, bits_an_id
        self.maker = ThreadPoolExecutor(1, f"known-{table}")
        self.segments: list[Segment] = []
        self.ending = False
        empty = connection.execute(f"SELECT count({column}) = 0 FROM {table}").fetchall() == [(True,)]
        self._begin(connection)
        if empty:
            self.making.result()

    def _begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Have what is in the table now read by the other thread; what is added from now on goes into filters of its own."""
        self.segments = [self._segment()]
        self.making: Future[list[Segment]] = self.maker.submit(self._on_maker, connection.cursor())
        self.made = False

    def _segment(self) -> Segment:
        return Segment(BloomFilter(CAPACITY, self.bits_an_id))

    def _next(self, segments: list[Segment]) -> None:
        """Begin another one, and put the full one away."""
        try:
            for segment in segments[-1:]:
                segment.filter.move(self.folder)
        except OSError as error:
            log.warning("A filter of %s.%s stays in memory: %r", self.table, self.column, error)
        segments.append(self._segment())

    def _on_maker(self, cursor: duckdb.DuckDBPyConnection) -> list[Segment]:
        segments: list[Segment] = []
        with cursor:
            reader = cursor.sql(f"SELECT hash({self.column}) AS hash, occurred_at FROM {self.table} WHERE {self.column} IS NOT NULL").to_arrow_reader(SLICE)
            for batch in reader:
                if self.ending:
                    break
                if not segments or segments[-1].filter.full:
                    self._next(segments)
                hashes, times = (batch.column(name).to_numpy(zero_copy_only=False) for name in ("hash", "occurred_at"))
                segments[-1].add(self._places(hashes), times.min().item(), times.max().item())
        return segments

    def _settle(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Take the other thread's filters once they are ready, and begin another where the newest is full."""
        if not self.made and self.making.done():
            # A disk that is full ends the database under the other thread, and what that made is not whole.
            failure = self.making.exception()
            if failure is None:
                self.segments[:0] = self.making.result()
                self.made = True
            else:
                log.warning("The filters of %s.%s could not be made and are made again: %r", self.table, self.column, failure)
                self._begin(connection)
        if self.segments[-1].filter.full:
            self.segments = [segment for segment in self.segments if self._holds(connection, segment)]
            self._next(self.segments)

    def _holds(self, connection: duckdb.DuckDBPyConnection, segment: Segment) -> bool:
        """Whether some event of its time is kept."""
        span = {"low": segment.low, "high": segment.high}
        return bool(connection.execute(f"SELECT 1 FROM {self.table} WHERE occurred_at BETWEEN $low AND $high LIMIT 1", span).fetchall())

    def add(self, connection: duckdb.DuckDBPyConnection, batch: str) -> tuple[Hashes, list[Doubt]]:
        """Add the ids of ``batch``, a table or a query in brackets, which are not in the own table yet; their hashes, and which of them may have been known."""
        hashes, places, doubts = self._asked(connection, batch)
        if len(hashes):
            self.segments[-1].add(places, *_span(connection, batch))
        return hashes, doubts

    def among(self, connection: duckdb.DuckDBPyConnection, batch: str) -> list[Doubt]:
        """The same without adding them."""
        return self._asked(connection, batch)[2]

    def _asked(self, connection: duckdb.DuckDBPyConnection, batch: str) -> tuple[Hashes, Places, list[Doubt]]:
        self._settle(connection)
        found = connection.execute(f"SELECT hash({self.column}) AS hash FROM {batch} WHERE {self.column} IS NOT NULL").fetchnumpy()["hash"]
        hashes = np.asarray(found, np.uint64)
        places = self._places(hashes)
        doubts = [Doubt(hashes[rows], segment.low, segment.high) for segment in self.segments if len(rows := segment.filter.among(places))]
        if not self.made and len(hashes):
            doubts.append(Doubt(hashes, *EVER))
        return hashes, places, doubts

    def _places(self, hashes: Hashes) -> Places:
        return Places(hashes, words(CAPACITY, self.bits_an_id))

    def close(self) -> None:
        """End the other thread."""
        self.ending = True
        self.maker.shutdown(wait=True)

    def without_known(self, connection: duckdb.DuckDBPyConnection, arrived: pl.DataFrame) -> pl.DataFrame:
        """Add the ids of ``arrived``, keys beside ``occurred_at`` in ms; its rows whose id is not in the table yet, of each id the first by source and offset."""
        ids = arrived.select(self.column, "occurred_at", "source", "offset_at").with_row_index("place")
        connection.register("coming", ids.to_arrow(compat_level=pl.CompatLevel.newest()))
        try:
            dropped = self._known_or_twice(connection)
        finally:
            connection.unregister("coming")
        if not dropped:
            return arrived
        kept = np.ones(len(arrived), np.bool_)
        kept[dropped] = False
        return arrived.filter(pl.Series(kept))

    def _known_or_twice(self, connection: duckdb.DuckDBPyConnection) -> list[int]:
        run = connection.execute
        coming = f"(SELECT * REPLACE ({self.column}::UUID AS {self.column}, make_timestamp(occurred_at * 1000) AS occurred_at) FROM coming)"
        hashes, doubts = self.add(connection, coming)
        ordered = np.sort(hashes)
        suspects = np.concatenate([ordered[1:][ordered[1:] == ordered[:-1]], *(doubt.hashes for doubt in doubts)])
        if not len(suspects):
            return []
        doubted = f"SELECT * FROM {coming} WHERE hash({self.column}) IN (SELECT hash FROM maybe)"
        with_hashes(connection, suspects, f"CREATE OR REPLACE TEMP TABLE doubted AS {doubted}")
        dropped: list[tuple[int]] = []
        for doubt in doubts:
            left = partial(self._left, connection, doubt)
            # A duplicate mostly says the same time, and nothing else is looked at for it; an id that comes with another is looked for in all times of its filter.
            if len(times := left()) and len(own := times[(times >= np.datetime64(doubt.low)) & (times <= np.datetime64(doubt.high))]):
                dropped += self._drop(connection, own.min().item(), own.max().item())
            if len(left()):
                dropped += self._drop(connection, doubt.low, doubt.high)
        dropped += run(f"SELECT place FROM doubted QUALIFY row_number() OVER (PARTITION BY {self.column} ORDER BY source, offset_at) > 1").fetchall()
        return [place for (place,) in dropped]

    def _left(self, connection: duckdb.DuckDBPyConnection, doubt: Doubt) -> NDArray[np.datetime64]:
        """The times that those of ``doubted`` say, naive UTC, that this doubt is of."""
        found = connection.execute(f"SELECT hash({self.column}) AS hash, occurred_at FROM doubted").fetchnumpy()
        return np.asarray(found["occurred_at"][np.isin(found["hash"], doubt.hashes)], "datetime64[us]")

    def _drop(self, connection: duckdb.DuckDBPyConnection, low: datetime, high: datetime) -> list[tuple[int]]:
        """Take those that are kept, of events of this span, out of ``doubted``; their places."""
        kept = f"SELECT {self.column} FROM {self.table} WHERE occurred_at BETWEEN $low AND $high AND {self.column} IN (SELECT {self.column} FROM doubted)"
        return connection.execute(f"DELETE FROM doubted WHERE {self.column} IN ({kept}) RETURNING place", {"low": low, "high": high}).fetchall()


def _span(connection: duckdb.DuckDBPyConnection, batch: str) -> tuple[datetime, datetime]:
    low, high = connection.execute(f"SELECT min(occurred_at), max(occurred_at) FROM {batch}").fetchall()[0]
    return low, high


def with_hashes(connection: duckdb.DuckDBPyConnection, hashes: Hashes, statement: str, **given: datetime) -> None:
    """Run a statement that reads them from ``maybe``."""
    connection.register("maybe", pl.DataFrame({"hash": hashes}))
    try:
        connection.execute(statement, given or None)
    finally:
        connection.unregister("maybe")
