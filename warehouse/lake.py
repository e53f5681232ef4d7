"""A lake: the tables of the warehouse in a catalog that any number of workers commit to (DuckLake), its data as Parquet in a shared folder or on S3.

What several workers change at once they append, and views under the tables' names add it up (``lake_migrations/``): DuckLake refuses a commit where one
transaction inserts into a table and another deletes from it, and never where both insert.
"""

import os
import random
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, cast

import duckdb

from warehouse.connection import connect, migrate, scripts_of
from warehouse.lake_errors import conflicts

PREFIX = "ducklake:"
NAME = "lake"
"""What an attached lake is called in SQL."""

DSN = " connect_timeout=5 keepalives_idle=5 keepalives_interval=2 keepalives_count=3 tcp_user_timeout=10000"
"""A connection whose packets vanish ends after ten seconds; by itself it would wait for a quarter of an hour."""

SESSION = """
SET TimeZone = 'UTC';
-- Who loses the race for the next snapshot tries again at a steady pace: waiting longer each time, one of two would lose it for most of a minute.
SET ducklake_max_retry_count = 100; SET ducklake_retry_backoff = 1.0; SET ducklake_retry_wait_ms = 50;
"""
POSTGRES = "SET pg_idle_in_transaction_timeout_millis = 30000; SET pg_statement_timeout_millis = 30000;"
"""A worker that is frozen amid its commit holds up all others until PostgreSQL lets go of it."""

BUSY = "META_BUSY_TIMEOUT 500"
"""In SQLite those who commit wait for each other."""
WAL = "META_JOURNAL_MODE 'WAL'"
"""Those who read do not keep others from committing. It is a property of the file, asked for when that is made: to ask again needs the file for oneself."""

REFUSED = ("already exists", "duplicate key", "Current transaction is aborted")
"""Parts of what DuckDB says, beside what conflicts, where another began the same lake at the same time; the last where SQLite's catalog was locked meanwhile."""


class LakeExtensionError(Exception):
    """DuckDB has not got what a lake needs; the message says how to get it."""


@dataclass(frozen=True)
class Lake:
    """Where a lake is: ``target`` as DuckLake attaches it (``ducklake:postgres:host=…``, ``ducklake:sqlite:path``), ``data`` a folder or s3:// address."""

    target: str
    data: str

    @classmethod
    def of(cls, warehouse: Path | str, data: str) -> Self | None:
        """The lake that a setting names; None where it names a file."""
        text = str(warehouse)
        return cls(text, data) if text.startswith(PREFIX) else None

    @property
    def postgres(self) -> bool:
        """Whether the catalog is in PostgreSQL."""
        return self.target.startswith(f"{PREFIX}postgres:")

    @property
    def remote(self) -> bool:
        """Whether the data are on object storage and not in a folder."""
        return "://" in self.data


class Connection:
    """DuckDB's connection, but that its cursors use the lake as well: the database in use is a connection's own."""

    def __init__(self, inner: duckdb.DuckDBPyConnection, *, cursor: bool = False) -> None:
        self.inner, self.is_cursor = inner, cursor
        inner.execute(f"USE {NAME}")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever DuckDB's has
        return getattr(self.inner, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cursor(self) -> "Connection":
        """Another connection to the same lake."""
        return Connection(self.inner.cursor(), cursor=True)

    def close(self) -> None:
        """Let the lake go, but for cursors that still read. Detached, since DuckLake 1.5.5 keeps it and all that it knows of it where a commit was refused."""
        if self.is_cursor:
            self.inner.close()
        else:
            let_go(self.inner)


def let_go(inner: duckdb.DuckDBPyConnection) -> None:
    """Detach the lake, if it is attached, and close."""
    with suppress(duckdb.Error):
        inner.execute(f"USE memory; DETACH {NAME}")
    inner.close()


def open_lake(
    lake: Lake, *, memory_limit: str = "512MB", threads: int = 1, read_only: bool = False, snapshot: int | None = None, first: str = ""
) -> duckdb.DuckDBPyConnection:
    """Attach a lake to a database in memory, and bring it to the newest migration unless it is only read; as it was at ``snapshot`` where that is given.

    ``first`` are statements that whoever writes runs before any other.

    Raises:
        LakeExtensionError: DuckDB's extensions are not there.
        duckdb.Error: the catalog is away, or there is no lake to read.
    """
    statement, writes = attaching(lake, NAME, read_only=read_only, snapshot=snapshot), not read_only and snapshot is None
    last: duckdb.Error | None = None
    # Of several workers that begin a lake at once all but one are refused, and look again: by a database of its own each time, for what DuckLake knows of a
    # lake where it was refused may be half of it.
    for _ in range(100):
        inner = connect(memory_limit=memory_limit, threads=threads, temp_directory=tempfile.gettempdir())
        load_extensions(inner, lake)
        inner.execute(SESSION)
        try:
            inner.execute(statement)
            made = _using(inner)
            if writes:
                migrate(made, _own_scripts())
                made.execute(first)
        except duckdb.Error as error:
            # To close a database that DuckDB has invalidated would abort the process.
            invalid = isinstance(error, (duckdb.FatalException, duckdb.InternalException))
            if invalid or not writes or not (conflicts(error) or any(sign in str(error) for sign in REFUSED)):
                raise
            let_go(inner)
            last = error
            time.sleep(random.uniform(0.05, 0.5))  # noqa: S311  # no secret
        else:
            return made
    raise duckdb.TransactionException(
        f"The lake could not be brought up to date: others changed it each time. Start one worker first. The last time: {last}"
    ) from last


def attaching(lake: Lake, name: str, *, read_only: bool = False, snapshot: int | None = None) -> str:
    """The statement that attaches a lake. The folder of its data is known to the catalog, so that who reads may leave it out."""
    data = lake.data if lake.remote or not lake.data else str(Path(lake.data).resolve())
    options = [
        *([f"DATA_PATH '{_quoted(data)}'"] if data else []),
        *[BUSY] * (not lake.postgres),
        *[WAL] * (not lake.postgres and not Path(lake.target.removeprefix(f"{PREFIX}sqlite:")).exists()),
        *["READ_ONLY"] * read_only,
        *([f"SNAPSHOT_VERSION {snapshot}"] if snapshot is not None else []),
    ]
    return f"ATTACH '{_quoted(lake.target + DSN * lake.postgres)}' AS {name}" + (f" ({', '.join(options)})" if options else "")


def _using(inner: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    return cast("duckdb.DuckDBPyConnection", Connection(inner))


def load_extensions(connection: duckdb.DuckDBPyConnection, lake: Lake) -> None:
    """Load what DuckDB needs for this lake.

    Raises:
        LakeExtensionError: it is not there.
    """
    for extension in ("ducklake", "postgres_scanner" if lake.postgres else "sqlite_scanner", *["httpfs"] * lake.remote):
        _load(connection, extension)
    if lake.postgres:
        connection.execute(POSTGRES)
    # Keys and address of object storage are read from AWS_… and DUCKDB_S3_… by DuckDB itself, but for this.
    if lake.remote and os.environ.get("DUCKDB_S3_ENDPOINT"):
        connection.execute("SET s3_url_style = 'path'")


def _load(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension: from its package where that is installed, else from where DuckDB keeps or fetches it. Signatures are checked in both cases."""
    package = find_spec(f"duckdb_extension_{name}")
    places = list(package.submodule_search_locations or []) if package else []
    files = [file for place in places for file in Path(place).glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension")]
    try:
        connection.execute(f"LOAD '{_quoted(str(files[0]))}'" if files else f"INSTALL {name}; LOAD {name}")
    except (duckdb.IOException, duckdb.HTTPException) as error:
        raise LakeExtensionError(
            f"A lake needs DuckDB's extension {name}, which is neither installed as a package for DuckDB {duckdb.__version__} nor could be fetched: {error}. "
            "Where there is no network: pip install 'onnuri[lake-offline]'."
        ) from error


@cache
def _own_scripts() -> list[tuple[str, str]]:
    return scripts_of(resources.files("warehouse").joinpath("lake_migrations"))


def _quoted(text: str) -> str:
    return text.replace("'", "''")
