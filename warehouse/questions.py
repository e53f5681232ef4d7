"""SQL of a person who is not trusted: one reading statement over the published tables, limited in time, rows and memory, with no way to files or network."""

import re
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from warehouse.connection import open_memory
from warehouse.lake import Lake
from warehouse.reading import LAKE_TABLES, Manifest, ManifestError, make_way, open_snapshot

_ONE_AT_A_TIME = threading.Lock()

AS_TEXT = re.compile(r"\b(?:INTERVAL|UNION|BIT|BIGNUM|VARIANT|GEOMETRY|TIME WITH TIME ZONE)\b")
"""Types that a frame has no like of, or only bytes: DuckDB writes them as text."""

MOST_BYTES = 128 * 1024 * 1024
"""Of an answer: ten thousand rows of a table take a few."""


class QuestionError(Exception):
    """The statement was refused or failed; the message says why, for the person who wrote it."""


@dataclass(frozen=True)
class Answer:
    """The first rows of an answer; ``cut`` where there were more. Its columns have names that differ, also where case is ignored; spans of time are texts."""

    frame: pl.DataFrame
    cut: bool


def answered(published: Path, text: str, *, rows: int = 10_000, seconds: float = 10.0, memory: str = "512MB") -> Answer:
    """What one reading statement finds in the newest published state. Questions take turns, so that they never take the machine from the pages.

    Raises:
        NothingPublishedError: no worker has published here yet.
        ManifestError: what is published is cut or missing.
        QuestionError: it is not one reading statement, it is wrong, it took longer than ``seconds`` or more than ``memory``, or its answer is larger than ``MOST_BYTES``.
            Within one call of a function, or 2,048 rows of an answer, DuckDB cannot be stopped: with very long texts that may take longer, and more.
    """
    if not _ONE_AT_A_TIME.acquire(timeout=seconds):
        raise QuestionError("busy: another question is being answered. Try again in a moment.")
    try:
        with closing(open_memory(memory_limit=memory, threads=1)) as connection:
            return _answer(connection, published, text, rows, seconds)
    finally:
        _ONE_AT_A_TIME.release()


def _answer(connection: duckdb.DuckDBPyConnection, published: Path, text: str, rows: int, seconds: float) -> Answer:
    late = threading.Event()

    def stop() -> None:
        late.set()
        connection.interrupt()

    timer = threading.Timer(seconds, stop)
    timer.start()
    try:
        statements = connection.extract_statements(text)
        if len(statements) != 1:
            raise QuestionError(f"Expected one statement, got {len(statements)}. Ask one thing at a time.")
        # EXPLAIN is no way to read: EXPLAIN ANALYZE COPY writes a file.
        if statements[0].type != duckdb.StatementType.SELECT:
            raise QuestionError(f"Expected a statement that reads (SELECT, FROM, DESCRIBE), got {statements[0].type.name}. Published tables cannot be changed.")
        _fill(connection, published, statements[0].query)
        _close(connection)
        return _first(connection.sql(_alone(statements[0].query)), rows)
    except duckdb.Error as error:
        if late.is_set():
            raise QuestionError(f"Stopped after {seconds:g} seconds. Ask for fewer days, or sum up more.") from None
        raise QuestionError(str(error)) from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise QuestionError(f"A column is of a type that cannot be shown: {error}. Make it text with ::VARCHAR.") from None
    finally:
        timer.cancel()


def _fill(connection: duckdb.DuckDBPyConnection, published: Path, query: str) -> None:
    """Have Arrow read the files and hand the rows over.

    A connection that may read a folder may write there too: a reading statement can hold ``WITH x AS (COPY … TO …)``. One that has a lake attached can say anything to its catalog: of a lake the tables that the statement names are copied into memory.
    """
    connection.execute("SET temp_directory = ''")
    # What is never published would answer as if there were nothing in it.
    for (table,) in connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT list_contains(?, table_name)", [LAKE_TABLES]).fetchall():
        connection.execute(f'DROP TABLE "{table}"')
    if not Lake.of(published, ""):
        for table, files in Manifest.read(published).files.items():
            if files:
                make_way(connection, table)
                connection.register(table, _of_files(published, files))
        return
    with open_snapshot(published) as snapshot:
        # Of the others none is left: a name that was not seen is an error then, and no empty table.
        for table in LAKE_TABLES:
            make_way(connection, table)
        for table in [name for name in LAKE_TABLES if re.search(rf"\b{name}\b", query, re.IGNORECASE)]:
            connection.register("rows_of_the_lake", snapshot.connection.sql(f'FROM "{table}"').to_arrow_reader(100_000))
            connection.execute(f'CREATE TABLE "{table}" AS FROM rows_of_the_lake')
            connection.unregister("rows_of_the_lake")


def _of_files(published: Path, files: Sequence[str]) -> object:
    # pyarrow brings pandas, which takes 50 MB, and a worker never needs it
    from pyarrow import ArrowException  # noqa: PLC0415
    from pyarrow.dataset import dataset  # noqa: PLC0415

    try:
        return dataset([str(published / file) for file in files], format="parquet")
    except (OSError, ArrowException) as error:
        raise ManifestError(f"The published files cannot be read: {error}. Start the worker: it publishes them anew.") from None


def _close(connection: duckdb.DuckDBPyConnection) -> None:
    """Leave it no way out, for good: no file, no network, no extension, none of Python's variables."""
    for setting in (
        "temp_directory = ''",
        "python_enable_replacements = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"SET {setting}")


def _alone(statement: str) -> str:
    """The statement without its semicolon and what stands behind, so that it can stand in another one."""
    written = statement.encode()
    ends = (at for at, _ in duckdb.tokenize(statement) if written[at : at + 1] == b";")
    return written[: next(ends, None)].decode()


def _first(asked: duckdb.DuckDBPyRelation, rows: int) -> Answer:
    named = zip(_distinct(asked.columns), asked.types, strict=True)
    columns = [_column(place, name, str(kind)) for place, (name, kind) in enumerate(named, 1)]
    # DuckDB's limit ends where the answer leaves it
    reader = asked.project(", ".join(columns)).to_arrow_reader(1_000)
    parts, found, size = [], 0, 0
    for batch in reader:
        size += batch.nbytes
        if size > MOST_BYTES:
            raise QuestionError(f"The answer takes more than {MOST_BYTES // 2**20} MB. Ask for fewer rows or columns, or for shorter texts.")
        parts.append(pl.DataFrame(pl.from_arrow(batch)))
        found += len(parts[-1])
        if found > rows:
            break
    frame = pl.concat(parts) if parts else pl.DataFrame(pl.from_arrow(reader.schema.empty_table()))
    return Answer(frame.head(rows), found > rows)


def _column(place: int, name: str, kind: str) -> str:
    quoted = name.replace('"', '""')
    return f'#{place}{"::VARCHAR" if AS_TEXT.search(kind) else ""} AS "{quoted}"'


def _distinct(names: Sequence[str]) -> list[str]:
    """The names with a number behind those that came before, in whatever case: a frame has no two of one name, and a sheet none that differ by case alone."""
    found: dict[str, str] = {}
    for name in names:
        new, number = name, 0
        while new.casefold() in found:
            number += 1
            new = f"{name}_{number}"
        found[new.casefold()] = new
    return list(found.values())
