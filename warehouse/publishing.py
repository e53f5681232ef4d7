"""Publishing: immutable Parquet files and one manifest, for readers who cannot open the file that the writer holds.

The two newest days are one file a table and hour, older days one file a table, so that a new minute rewrites little.
Which files there should be follows from the hours' versions alone: what is missing is written, wherever the last run ended.
"""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from warehouse.reading import FolderTakenError, Manifest, whole_bytes
from warehouse.states import File, by_table, state

KEEP_SECONDS = 600
"""How long files stay after no manifest names them: a reader may still hold an older one."""


OWN_FOLDER = "give this one its own with ONNURI_PUBLISHED=FOLDER."
"""What to do where a folder is another line's."""


class PublishingEndedError(Exception):
    """The worker ends; the next one publishes the rest."""


def published_by(warehouse_id: str, folder: Path) -> Manifest | None:
    """What this warehouse has published into ``folder``; None where nothing is, or nothing that can be read.

    Raises:
        FolderTakenError: another warehouse publishes into it.
    """
    manifest = Manifest.found(folder)
    if manifest is not None and manifest.warehouse_id != warehouse_id:
        raise FolderTakenError(
            f"{folder} has what the warehouse {manifest.warehouse_id} publishes, and this is the warehouse {warehouse_id}. Two lines need a folder each: "
            f"{OWN_FOLDER} Where no other line publishes into it any more, as after a backup of another warehouse was put back, move the folder away."
        )
    return manifest


class Publisher:
    """Publishes from a cursor of ``connection``; each state is one transaction's view of the warehouse.

    Raises:
        FolderTakenError: another warehouse publishes into ``folder``.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.connection = connection
        self.folder = folder
        ((self.warehouse_id,),) = connection.execute("SELECT warehouse_id FROM line").fetchall()
        # Before anything in the folder is touched.
        published = published_by(self.warehouse_id, folder)
        self.sequence = published.sequence if published else 0
        self.wanted: set[str] = set()
        """What was wanted for the last manifest, with the spans that are empty."""
        folder.mkdir(parents=True, exist_ok=True)
        self.written: dict[str, int] = {}
        """Sizes of files. Empty spans have none, and 0 here; which they are is known only to this process, so a restart looks once more."""
        self.unnamed: dict[str, float] = {}
        self.ending = False
        """Set from another thread: no further file is written."""
        self.check: Callable[[duckdb.DuckDBPyConnection], None] | None = None
        """Asked before the manifest is put in place; it raises where another worker publishes by now."""
        # A name of its own: who led before may be amid the same file, and would put this one's in place unfinished.
        self.suffix = f".{uuid.uuid4().hex}.part"
        for part in (*folder.glob("*.part"), *folder.glob("*/*.part")):
            part.unlink(missing_ok=True)
        for file in folder.glob("*/*.parquet"):
            if size := whole_bytes(file):
                self.written[file.relative_to(folder).as_posix()] = size
            else:
                # Written again where it is wanted; else nobody would remove it.
                file.unlink(missing_ok=True)

    def publish(
        self, now: datetime, wall: datetime, log_ends: Mapping[tuple[str, int], int | None], positions: Mapping[tuple[str, int], int]
    ) -> dict[str, Any]:
        """Write what is missing, then the manifest by rename; returns what it says. ``now`` is the line's clock, ``wall`` the reader's.

        ``log_ends`` has the partitions that are read, None where the end is not known.

        Raises:
            FolderTakenError: another warehouse has begun to publish into the folder.
            OSError, duckdb.IOException: it cannot be written to.
        """
        try:
            return self._published(now, wall, log_ends, positions)
        except (OSError, duckdb.IOException):
            # Perhaps what fills the disk are old versions, which otherwise are removed only after a new state.
            with suppress(OSError):
                self._make_room()
            raise

    def _published(
        self, now: datetime, wall: datetime, log_ends: Mapping[tuple[str, int], int | None], positions: Mapping[tuple[str, int], int]
    ) -> dict[str, Any]:
        with self.connection.cursor() as cursor:
            body, wanted = self._state(cursor, now, wall, log_ends, positions)
            if self.check:
                self.check(cursor)
        # Each time: of two lines that begin at once, both find the folder empty.
        published_by(self.warehouse_id, self.folder)
        _replace(self.folder / "manifest.json", self.suffix, json.dumps(body, ensure_ascii=False, indent=1).encode())
        self.wanted = {file.path for file in wanted}
        self._sweep(self.wanted)
        return body

    def _make_room(self) -> None:
        """Remove what no manifest has named for a while, and what was left unfinished."""
        for part in (*self.folder.glob(f"*{self.suffix}"), *self.folder.glob(f"*/*{self.suffix}")):
            part.unlink(missing_ok=True)
        # Looked at anew: on a lake another worker may have published meanwhile. Without a manifest nothing tells what is old.
        if published := published_by(self.warehouse_id, self.folder):
            self._sweep(self.wanted.union(*published.files.values()))

    def _state(
        self,
        cursor: duckdb.DuckDBPyConnection,
        now: datetime,
        wall: datetime,
        log_ends: Mapping[tuple[str, int], int | None],
        positions: Mapping[tuple[str, int], int],
    ) -> tuple[dict[str, Any], list[File]]:
        cursor.begin()
        try:
            body, wanted = state(cursor, now, wall, log_ends, positions)
            files = [file for file in wanted if self._write(cursor, file)]
        finally:
            with suppress(duckdb.Error):
                cursor.rollback()
        self.sequence += 1
        return body | {"sequence": self.sequence, "files": by_table(files)}, wanted

    def _write(self, cursor: duckdb.DuckDBPyConnection, file: File) -> bool:
        """Make sure that the file is there; false where it would be empty."""
        if self.ending:
            raise PublishingEndedError
        target, size = self.folder / file.path, self.written.get(file.path)
        # A file that somebody has removed or cut is written again: whoever reads would fail until the hour changes.
        if size is None or (size and _size(target) != size):
            self.written[file.path] = whole_bytes(target) or self._copy(cursor, file, target)
        return self.written[file.path] > 0

    def _copy(self, cursor: duckdb.DuckDBPyConnection, file: File, target: Path) -> int:
        """Write the file and give its size; 0 where it would be empty, and is not written."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(self.suffix)
        order, groups = (f" ORDER BY {file.ordered}", ", ROW_GROUP_SIZE 16384") if file.ordered else ("", "")
        row = cursor.execute(
            f"COPY (SELECT * FROM {file.table} WHERE {file.where}{order}) TO '{_quoted(part)}' (FORMAT parquet, COMPRESSION zstd{groups})"
        ).fetchone()
        if not row or not row[0]:
            part.unlink(missing_ok=True)
            return 0
        _synced(part)
        part.rename(target)
        return _size(target)

    def _sweep(self, current: Iterable[str]) -> None:
        """Remove versions that no manifest has named for a while."""
        keep = set(current)
        now = time.monotonic()
        # What is named again may have lain unnamed for long; its time begins anew when it is dropped the next time.
        self.unnamed = {path: since for path, since in self.unnamed.items() if path not in keep}
        for path in [p for p in self.written if p not in keep]:
            if not self.written[path] or now - self.unnamed.setdefault(path, now) > KEEP_SECONDS:
                (self.folder / path).unlink(missing_ok=True)
                self.unnamed.pop(path, None)
                del self.written[path]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, suffix: str, content: bytes) -> None:
    part = path.with_suffix(suffix)
    part.write_bytes(content)
    _synced(part)
    part.replace(path)
