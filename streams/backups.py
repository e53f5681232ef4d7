"""Backups on request: the command leaves a request beside the warehouse, and the worker, which alone can read the file, answers it.

The request is a file and no address of the worker, so that whoever may ask is who may write beside the warehouse.
"""

import json
import logging
import secrets
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

import duckdb

from streams.keying import fingerprint
from streams.settings import Settings
from warehouse.backup import BackupError, back_up, copy_key, hidden_with, key_of, refuse_taken
from warehouse.connection import WarehouseBusyError, open_file
from warehouse.ingest import Writer

log = logging.getLogger(__name__)

ASKING_SECONDS = 0.2
"""Between two looks for a request, or for its answer."""


def request_of(warehouse: Path) -> Path:
    """Where a request for a backup is left."""
    return warehouse.with_name(warehouse.name + ".backup-request")


def answer_of(warehouse: Path) -> Path:
    """Where it is answered."""
    return warehouse.with_name(warehouse.name + ".backup-answer")


class Backups:
    """Looks for requests and answers them on a thread of its own, from its making on: whatever the worker does or waits for. One to a worker."""

    def __init__(self, settings: Settings, writer: Writer) -> None:
        self.warehouse = settings.warehouse
        self.writer = writer
        self.cursor: duckdb.DuckDBPyConnection | None = None
        self.ending = threading.Event()
        self.thread = ThreadPoolExecutor(1, "backup")
        self.running: Future[None] = self.thread.submit(self._on_thread)

    def once(self) -> None:
        """See that it goes on; called often.

        Raises:
            Exception: a bug ended it, which is to stop the worker.
        """
        if self.running.done():
            self.running.result()

    def close(self) -> None:
        """Break off what is being copied, which is answered as failed."""
        self.ending.set()
        # More than once: a copy that is about to begin is no statement yet, and a cursor may be closed while its answer is still written.
        while not self.running.done():
            if (cursor := self.cursor) is not None:
                with suppress(duckdb.Error):
                    cursor.interrupt()
            wait([self.running], ASKING_SECONDS)
        self.thread.shutdown(wait=True)

    def _on_thread(self) -> None:
        while not self.ending.wait(ASKING_SECONDS):
            if request_of(self.warehouse).exists():
                self._answer()

    def _answer(self) -> None:
        request = request_of(self.warehouse)
        asked, error = b"", None
        try:
            asked = request.read_bytes()
            target = Path(json.loads(asked)["to"])
            with self.writer.in_backup, self.writer.connection.cursor() as self.cursor:
                back_up(self.cursor, target)
            log.info("Backup written: %s", target)
        except (BackupError, duckdb.Error, OSError, ValueError, KeyError, TypeError) as failed:
            log.warning("No backup was written: %s", failed)
            error = str(failed)
        # Where the disk has no room for an answer, the log has it.
        with suppress(OSError):
            answer_of(self.warehouse).write_text(json.dumps({"id": _id_in(asked), "error": error}), encoding="utf-8")
        # This is what is waited for, so the answer comes first.
        _take_back(request, asked)


def ask_for_backup(settings: Settings, target: Path, patience: float, *, from_worker: bool = False) -> None:
    """Write a backup with its key, by the worker where one runs, else by ourselves. Blocks.

    With ``from_worker`` the file is not looked at: what the worker has may be another one by now.

    Raises:
        BackupError: it could not be written, its name is taken, or no worker answered within ``patience`` seconds.
        WarehouseDamagedError: no worker runs and the file cannot be read.
    """
    refuse_lake(settings)
    target = target.resolve()
    if not (from_worker or settings.warehouse.exists()):
        raise BackupError(f"There is no warehouse {settings.warehouse}. Which one is meant? Set ONNURI_WAREHOUSE.")
    refuse_taken(settings.warehouse, target)
    if from_worker or not _by_ourselves(settings.warehouse, target):
        _by_the_worker(settings.warehouse, target, patience)
    copied = copy_key(settings.warehouse, target)
    if not settings.user_key:
        _check_key(target, copied=copied)


def _by_ourselves(warehouse: Path, target: Path) -> bool:
    """Copy the file; false where a worker holds it."""
    try:
        with open_file(warehouse) as connection:
            back_up(connection, target)
    except WarehouseBusyError:
        return False
    return True


def _check_key(target: Path, *, copied: bool) -> None:
    """Say that a backup is without its key while there is still a way to get it: a running worker has it in memory alone.

    Raises:
        BackupError: with the fingerprint of the key that hides its buyers.
    """
    known, found = hidden_with(target), fingerprint(key_of(target).read_bytes()) if copied else "none"
    if known and known != found:
        raise BackupError(
            f"{target} is written, but without its key: buyers are hidden with one whose fingerprint is {known}, and beside the warehouse is {found}. "
            "Put the right one back beside the warehouse and make the backup anew."
        )


def refuse_lake(settings: Settings) -> None:
    """Backups and restoring are for a file.

    Raises:
        BackupError: the warehouse is a lake; the message says what to do instead.
    """
    if settings.lake:
        raise BackupError(
            "The warehouse is a lake: back up its catalog with pg_dump first and its data folder after that, and put both back together. "
            "docs/lake.md has the commands."
        )


def _by_the_worker(warehouse: Path, target: Path, patience: float) -> None:
    request, answer = request_of(warehouse), answer_of(warehouse)
    # Who asked before may be waiting for its answer still, or have given up while the worker is copying: the id tells whose answer it is.
    name = secrets.token_hex(8)
    asked = json.dumps({"id": name, "to": str(target)}).encode()
    part = request.with_name(f"{request.name}.{name}")
    part.write_bytes(asked)
    try:
        # A link and no rename: it fails where somebody else is asking.
        request.hardlink_to(part)
    except FileExistsError:
        raise BackupError(f"Another backup is asked for already. If nobody does, remove {request} and ask again.") from None
    finally:
        part.unlink()
    deadline = time.monotonic() + patience
    try:
        while _content(request) == asked:
            if time.monotonic() > deadline:
                raise BackupError(f"No worker answered within {patience:.0f} s. Its log says what it does; --patience waits longer.")
            time.sleep(ASKING_SECONDS)
        answered = _content(answer)
    finally:
        # The request last: from then on another may be answered.
        answer.unlink(missing_ok=True)
        _take_back(request, asked)
    if _id_in(answered) != name:
        raise BackupError("The worker could not answer. Its log says why.")
    if error := json.loads(answered)["error"]:
        raise BackupError(f"The worker could not write {target}: {error}")
    if not target.exists():
        raise BackupError(f"The worker says that {target} is written, but it is not there. Name a folder that both see under this name.")


def _content(file: Path) -> bytes:
    """What it holds; nothing where it cannot be read."""
    try:
        return file.read_bytes()
    except OSError:
        return b""


def _id_in(content: bytes) -> str | None:
    """Whose request this is, or whose answer."""
    try:
        said = json.loads(content)
    except ValueError:
        return None
    return said.get("id") if isinstance(said, dict) else None


def _take_back(request: Path, asked: bytes) -> None:
    """Remove a request; another one in its place stays."""
    if _content(request) == asked:
        request.unlink(missing_ok=True)
