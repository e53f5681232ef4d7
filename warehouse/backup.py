"""Copies of the warehouse, made while the writer writes, and put back."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path

import duckdb

from warehouse.connection import WarehouseDamagedError, log_of, open_file


class BackupError(Exception):
    """A backup cannot be made or put back; the message says why and what to do."""


def back_up(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    """Copy the warehouse of ``connection`` into the new file ``target``, as one transaction sees it: rows and offsets belong together.

    ``connection`` is a cursor of its own where others use the connection, who go on meanwhile. ``target`` appears whole or not at all.

    Raises:
        BackupError: there is a file of that name already.
        duckdb.Error: it could not be read, or there is no room.
        OSError: the folder cannot be written to.
    """
    if target.exists():
        raise BackupError(f"{target} exists already. Name a new file.")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    # What is left of one that was broken off.
    connection.execute("DETACH DATABASE IF EXISTS copy_of_warehouse")
    part.unlink(missing_ok=True)
    row = connection.execute("SELECT current_database()").fetchone()
    assert row is not None
    name = str(part).replace("'", "''")
    connection.execute(f"ATTACH '{name}' AS copy_of_warehouse")
    try:
        connection.execute(f'COPY FROM DATABASE "{row[0]}" TO copy_of_warehouse')
        # Everything in one file: its log would not be renamed with it.
        connection.execute("CHECKPOINT copy_of_warehouse")
    except BaseException:
        with suppress(duckdb.Error):
            connection.execute("DETACH copy_of_warehouse")
        part.unlink(missing_ok=True)
        raise
    connection.execute("DETACH copy_of_warehouse")
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.rename(target)


def key_of(warehouse: Path) -> Path:
    """Where the key that hides user ids is kept, unless it is a setting."""
    return warehouse.with_suffix(".key")


def hidden_with(backup: Path) -> str | None:
    """The fingerprint of the key that hides a backup's buyers; None where none was noted."""
    with open_file(backup) as connection:
        found = connection.execute("SELECT fingerprint FROM user_key ORDER BY used_from DESC LIMIT 1").fetchall()
    return found[0][0] if found else None


def refuse_taken(warehouse: Path, target: Path) -> None:
    """Refuse a name for a backup where something is lost by it: a file of that name, or the key that lies beside it.

    Raises:
        BackupError: with what is there already.
    """
    own, beside = key_of(warehouse), key_of(target)
    if target.exists():
        raise BackupError(f"{target} exists already. Name a new file.")
    if target == beside:
        raise BackupError(f"{target} is the name that a key has. Name another file, such as {target.with_suffix('.duckdb')}")
    if own.exists() and beside.exists() and own.read_bytes() != beside.read_bytes():
        raise BackupError(f"{beside} is there already and holds another key, which the copy of this warehouse's would replace. Name another file.")


def copy_key(warehouse: Path, target: Path) -> bool:
    """Copy the key beside the copy, for its owner only; false where the warehouse has none."""
    own, beside = key_of(warehouse), key_of(target)
    if not own.exists():
        return False
    # A copy of the warehouse's own stem in its folder has the same key.
    if _same(own, beside):
        return True
    with _key_beside(own, beside) as part:
        part.replace(beside)
    return True


@contextmanager
def _key_beside(own: Path, beside: Path) -> Iterator[Path]:
    """A copy of a key that is still to take its place; nothing is left of one that does not."""
    data, part = own.read_bytes(), beside.with_name(beside.name + ".part")
    # A file that is written anew and not over one that is there: that would keep the mode which it has.
    part.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)


def _same(one: Path, other: Path) -> bool:
    """Whether both are the same file, by whatever names."""
    return one.exists() and other.exists() and one.samefile(other)


def restore(backup: Path, warehouse: Path, now: datetime) -> list[Path]:
    """Put ``backup`` in the place of ``warehouse``, whose files are kept under other names; returns those.

    Raises:
        BackupError: there is no backup, or it cannot be read.
        WarehouseBusyError: a worker runs on the warehouse.
    """
    if not backup.is_file():
        raise BackupError(f"There is no file {backup}.")
    # A link stays one; its key and its log lie beside it and not beside the file that it names.
    file = warehouse.resolve()
    part = file.with_name(file.name + ".part")
    file.parent.mkdir(parents=True, exist_ok=True)
    log_of(part).unlink(missing_ok=True)
    shutil.copyfile(backup, part)
    try:
        try:
            opened = open_file(part)
        except WarehouseDamagedError as error:
            raise BackupError(f"{backup} is no backup of a warehouse, or it is damaged; {warehouse} is untouched. {error.__cause__ or error}") from error
        with opened:
            if opened.execute("SELECT count(*) FROM line").fetchall() != [(1,)]:
                raise BackupError(f"{backup} is no backup of a warehouse: it was never written to.")
        if warehouse.exists():
            # What is damaged may be replaced; what a worker holds may not.
            with suppress(WarehouseDamagedError):
                open_file(warehouse).close()
        return _exchange(part, file, warehouse, key_of(backup), f".before-{now:%Y%m%dT%H%M%S}")
    finally:
        part.unlink(missing_ok=True)


def _exchange(part: Path, file: Path, warehouse: Path, brought: Path, ending: str) -> list[Path]:
    """Put ``part`` and the key beside the backup in the places of what there was, which is kept under other names; returns those.

    Whatever ends it, the warehouse is the old one or the new one, and never missing: a worker would begin anew.
    """
    own, log = key_of(warehouse), log_of(warehouse)
    aside: list[Path] = []
    with ExitStack() as parts, ExitStack() as undo:
        key = parts.enter_context(_key_beside(brought, own)) if brought.exists() and not _same(own, brought) else None
        for old in [file, log] + [own] * (key is not None):
            if old.exists():
                kept = old.with_name(old.name + ending)
                # A second name and no other one.
                kept.hardlink_to(old)
                undo.callback(_back, kept, old)
                aside.append(kept)
        # The log of the old file must not meet the new one. Without it the old one is of some time before, and reads on from there.
        log.unlink(missing_ok=True)
        part.replace(file)
        undo.pop_all()
        if key:
            key.replace(own)
    return aside


def _back(kept: Path, old: Path) -> None:
    if not old.exists():
        old.hardlink_to(kept)
    kept.unlink()
