"""The only place that calls ``duckdb.connect``, and the migrations that every connection starts from."""

import os
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import duckdb
import polars as pl

from warehouse.lake_errors import away, conflicts


class WarehouseBusyError(Exception):
    """Another process holds the warehouse file; a standby waits and tries again."""


class WarehouseDamagedError(Exception):
    """The file is missing, or damaged, or not a database of this version; it is left untouched."""


class WarehouseMissingError(WarehouseDamagedError):
    """There is no warehouse, or none with anything in it, where one was published from."""


class WarehouseShutError(duckdb.IOException):
    """The system does not let the file be opened, which says nothing about what is in it; it may do so later."""


class WarehouseOutdatedError(Exception):
    """The warehouse is an older state than Kafka can bring up to date; the message names what is missing."""


def passes(error: Exception) -> bool:
    """Whether an error of DuckDB comes from a full or failing disk, too little memory or a lake's catalog: to be tried again, and no bug.

    A full disk is an IOException in a statement, a TransactionException at COMMIT, and a FatalException, which stops the database until it is
    opened anew, in a checkpoint.
    """
    if isinstance(error, duckdb.IOException) or lacks_memory(error) or away(error) or conflicts(error):
        return True
    return isinstance(error, (duckdb.TransactionException, duckdb.FatalException)) and any(sign in str(error) for sign in DISK_SIGNS)


def lacks_memory(error: Exception) -> bool:
    """Whether DuckDB had too little memory: an OutOfMemoryException in a statement; at COMMIT another one, that tells as well how much is used of how much."""
    return isinstance(error, duckdb.OutOfMemoryException) or (isinstance(error, duckdb.Error) and MEMORY_USED.search(str(error)) is not None)


MEMORY_USED = re.compile(r"\([^()]+/[^()]+ used\)")


STORAGE = {"checkpoint_threshold": "256MB", "max_vacuum_tasks": "2"}
"""Checkpoints come when the log is large, or at once where a batch is larger than a row group and goes past it. Such a batch leaves a whole row group and a small one:
with its usual hundred tasks a checkpoint would put these together again, which is to write the table once more, and leave the file twice as large."""

WHAT_TO_DO = (
    "Restore a backup: onnuri restore FILE. Without one, move the file away together with the folder of published files and start again: "
    "the topics are read from their beginning, and what they no longer hold is missing."
)

OTHER_LOG = (
    "The log beside it is of another file, as where a copy was put there by hand. If the copy is the one that is wanted, move {} away; "
    "onnuri restore FILE does both by itself."
)

WHERE_MISSING = (
    f"If another line publishes there, leave its folder alone and give this one its own with ONNURI_PUBLISHED=FOLDER. If it was this one: {WHAT_TO_DO}"
)
"""What to do where there is no warehouse, and a folder of published files is: nothing tells whose it is, unless another worker publishes just now."""


def damaged(error: Exception) -> bool:
    """Whether DuckDB says that the file itself is damaged: a checksum that does not agree."""
    return isinstance(error, duckdb.Error) and "Corrupt" in str(error)


WHY_SHUT = {
    "Too many open files": "Raise the limit of open files: ulimit -n 65536, or LimitNOFILE=65536 in a systemd unit.",
    "Permission denied": "Let the user that onnuri runs as read and write the file and its folder.",
    "Read-only file system": "Let the disk be written to.",
    "No space left": "Make room on the disk.",
    "Cannot open file": "See what the system says there.",
}
"""Signs that the system, and not the file, is why it cannot be opened, and what to do; the first that fits."""


def shut(error: OSError) -> str:
    """What the system does not give, in words: which file, why, and what to do."""
    if error.filename is None:
        return str(error)
    what_to_do = next((told for sign, told in WHY_SHUT.items() if sign in str(error.strerror)), "See what the settings name there.")
    return f"{error.filename}: {error.strerror}. {what_to_do}"


SPARE_DESCRIPTORS = 4
"""For the file, its log and what a checkpoint opens. DuckDB ends the process where it gets none for the file."""

DISK_SIGNS = ("Cannot open file", "Could not write file", "Could not read", "Could not sync", "Could not truncate", "No space left", "IO Error")


def connect(*, memory_limit: str, threads: int, **config: str) -> duckdb.DuckDBPyConnection:
    """An empty database in memory."""
    return duckdb.connect(config={"memory_limit": memory_limit, "threads": threads, **config})


def open_file(path: Path, *, memory_limit: str = "256MB", threads: int = 1) -> duckdb.DuckDBPyConnection:
    """Open the warehouse for its one writer and bring it to the newest migration.

    One thread a caller: the decoder needs the other core, and DuckDB's workers, waiting for tasks, take a fifth more processor time than they save.

    Raises:
        WarehouseBusyError: another process has it open.
        WarehouseDamagedError: the file cannot be read as a warehouse.
        WarehouseShutError: there is no room on the disk, no file descriptor is left, or this user may not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    first, connection = not path.exists(), None
    try:
        _spare_descriptors()
        connection = duckdb.connect(path, config={"memory_limit": memory_limit, "threads": threads, **STORAGE})
        connection.execute("SET TimeZone = 'UTC'")
        migrate(connection)
    except duckdb.Error as error:
        if "Could not set lock" in str(error):
            raise WarehouseBusyError(f"{path} is held by another process: {error}") from error
        if first:
            _remove_begun(path, connection)
        if (what_to_do := next((told for sign, told in WHY_SHUT.items() if sign in str(error)), None)) is not None:
            raise WarehouseShutError(f"{path} cannot be opened: {error}. That is no damage of the file. {what_to_do}") from error
        what_to_do = OTHER_LOG.format(log_of(path)) if "WAL does not match" in str(error) else WHAT_TO_DO
        raise WarehouseDamagedError(f"{path} cannot be opened as a warehouse: {error}. {what_to_do}") from error
    return connection


def _remove_begun(path: Path, connection: duckdb.DuckDBPyConnection | None) -> None:
    """Remove what the first opening has left, as on a full disk: a few kilobytes that are no database, and would never be opened."""
    if connection:
        with suppress(duckdb.Error):
            connection.close()
    # A link stays one.
    path.resolve().unlink(missing_ok=True)
    log_of(path).unlink(missing_ok=True)


def log_of(warehouse: Path) -> Path:
    """The log that DuckDB keeps beside a file."""
    return warehouse.with_name(warehouse.name + ".wal")


def _spare_descriptors() -> None:
    held: list[int] = []
    try:
        held.extend(os.open(os.devnull, os.O_RDONLY) for _ in range(SPARE_DESCRIPTORS))
    except OSError as error:
        raise duckdb.IOException(error.strerror) from error
    finally:
        for descriptor in held:
            os.close(descriptor)


def open_memory(*, memory_limit: str = "1GB", threads: int = 2) -> duckdb.DuckDBPyConnection:
    """A database of a reader's own, with every table of the warehouse, empty."""
    connection = connect(memory_limit=memory_limit, threads=threads)
    connection.execute("SET TimeZone = 'UTC'")
    # All at once and without a record: a stranger's question opens such a database, and nothing is in it yet.
    connection.execute("\n".join(text for _, text in _migrations()))
    return connection


_SHARING = threading.Lock()


def open_shared() -> duckdb.DuckDBPyConnection:
    """A connection of a reader's own to the one database that all readers of this process share, with every table of the warehouse, empty.

    To open a database for each state that is read takes longer than many a question; and what one question learns of the files, the next one knows.
    """
    with _SHARING:
        connection = _shared().cursor()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


@cache
def _shared() -> duckdb.DuckDBPyConnection:
    connection = open_memory()
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    return connection


@cache
def _migrations() -> list[tuple[str, str]]:
    return scripts_of(resources.files("warehouse").joinpath("migrations"))


def scripts_of(folder: Traversable) -> list[tuple[str, str]]:
    """Names and texts of the SQL files in a folder, in their order."""
    return sorted((file.name, file.read_text(encoding="utf-8")) for file in folder.iterdir() if file.name.endswith(".sql"))


def view_text(name: str) -> str:
    """The statement that makes a view of the warehouse, e.g. ``nation_minute``, over the tables that stand beside it."""
    return next(text for file, text in _migrations() if file.endswith(f"_{name}.sql"))


def migrate(connection: duckdb.DuckDBPyConnection, more: Sequence[tuple[str, str]] = ()) -> None:
    """Apply the migrations that this database has not seen, and ``more`` in the order of all names, each in one transaction with its own record."""
    scripts = sorted([*_migrations(), *more])
    connection.execute("CREATE TABLE IF NOT EXISTS migration (name VARCHAR, applied_at TIMESTAMP)")
    applied = {name for (name,) in connection.execute("SELECT name FROM migration").fetchall()}
    unknown = applied - {name for name, _ in scripts}
    if unknown:
        raise WarehouseDamagedError(
            f"This warehouse has migrations that this version does not know: {', '.join(sorted(unknown))}. It was written by a newer onnuri; start that version."
        )
    for name, text in scripts:
        if name in applied:
            continue
        connection.begin()
        try:
            connection.execute(text)
            connection.execute("INSERT INTO migration VALUES (?, now()::TIMESTAMP)", [name])
            connection.commit()
        except BaseException:
            # After a COMMIT that was refused there is nothing left to roll back.
            with suppress(duckdb.Error):
                connection.rollback()
            raise


def frame(connection: duckdb.DuckDBPyConnection, text: str, parameters: dict[str, object] | None = None) -> pl.DataFrame:
    """What a query finds, as a frame."""
    return pl.DataFrame(pl.from_arrow(connection.sql(text, params=parameters or None).to_arrow_table()))


def query_text(name: str) -> str:
    """The SQL of a named query, e.g. ``sales_by_minute``.

    Raises:
        LookupError: there is no such query.
    """
    file = resources.files("warehouse").joinpath("queries", f"{name}.sql")
    if not file.is_file():
        known = sorted(f.name.removesuffix(".sql") for f in resources.files("warehouse").joinpath("queries").iterdir())
        raise LookupError(f"There is no query {name!r}. Known: {', '.join(known)}.")
    return file.read_text(encoding="utf-8")
