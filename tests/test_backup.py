"""Backups of a real DuckDB file: what is in them, what is put back, and what a damaged file says."""

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import wait
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

import streams.backups
import warehouse.connection
from streams import standby
from streams.backups import Backups, answer_of, ask_for_backup, request_of
from streams.keying import fingerprint
from streams.letters import Letters
from streams.line import Line
from streams.settings import Settings
from streams.standby import refuse_outdated, wait_for_warehouse
from streams.tending import Tending
from tests.events_data import NOON, chunk, payment
from warehouse.backup import BackupError, back_up, copy_key, restore
from warehouse.connection import WarehouseBusyError, WarehouseDamagedError, WarehouseMissingError, WarehouseOutdatedError, WarehouseShutError, open_file, passes
from warehouse.ingest import Source, Writer
from warehouse.publishing import Publisher
from warehouse.reading import FolderTakenError


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(warehouse=tmp_path / "line" / "w.duckdb")


@pytest.fixture
def writer(settings: Settings) -> Iterator[Writer]:
    made = Writer(settings.warehouse, NOON)
    yield made
    made.close()


def write(writer: Writer, low: int, high: int) -> None:
    """Payments with the numbers from ``low``, which are their offsets, up to ``high``."""
    writer.apply([chunk("payments", [payment(n + 1) for n in range(low, high)], first_offset=low)], NOON, lambda _: None)


def state(path: Path) -> tuple[int, int, int]:
    """Payments, what the minutes say of them, and the offset."""
    with open_file(path) as opened:
        found = opened.execute("SELECT (SELECT count(*) FROM payment), (SELECT sum(approved) FROM market_minute), (SELECT next_offset FROM source_offset)")
        return found.fetchall()[0]


def test_a_backup_while_batches_are_written_has_the_rows_of_its_offsets(writer: Writer, tmp_path: Path) -> None:
    write(writer, 0, 20_000)
    copies = [tmp_path / f"{n}.duckdb" for n in range(3)]
    done = threading.Event()

    def write_on() -> None:
        for low in itertools.count(20_000, 200):
            write(writer, low, low + 200)
            if done.is_set():
                return

    writing = threading.Thread(target=write_on)
    writing.start()
    with writer.connection.cursor() as cursor:
        for copy in copies:
            back_up(cursor, copy)
    done.set()
    writing.join()
    for copy in copies:
        assert [file.name for file in tmp_path.glob(f"{copy.name}*")] == [copy.name]
        payments, approved, offset = state(copy)
        assert payments == approved == offset >= 20_000
    assert writer.sources()["payments", 0].next_offset > 20_000


def test_a_backup_never_overwrites(writer: Writer, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(BackupError, match="exists already"):
        back_up(writer.connection, tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_backup_that_fails_leaves_nothing_behind_and_the_writer_goes_on(writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(writer, 0, 10)

    def no_room(_: int) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(OSError, match="No space"):
            back_up(writer.connection, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    write(writer, 10, 20)
    back_up(writer.connection, tmp_path / "copy")
    assert state(tmp_path / "copy") == (20, 20, 20)


def test_a_worker_answers_requests_and_says_why_it_cannot(settings: Settings, writer: Writer, tmp_path: Path) -> None:
    write(writer, 0, 10)
    backups = Backups(settings, writer)
    request, answer = request_of(settings.warehouse), answer_of(settings.warehouse)
    (tmp_path / "a file").touch()
    for to, said in ((tmp_path / "copy", None), (tmp_path / "copy", "exists already"), (tmp_path / "a file" / "copy", "File exists"), (None, "to")):
        request.write_text(json.dumps({"id": "mine", "to": str(to)} if to else {"id": "mine"}))
        while request.exists():
            time.sleep(0.01)
        answered = json.loads(answer.read_bytes())
        assert answered["id"] == "mine"
        assert answered["error"] is None if said is None else said in answered["error"]
    backups.once()
    backups.close()
    assert state(tmp_path / "copy") == (10, 10, 10)


def test_a_worker_that_ends_right_after_a_backup_closes_as_ever(settings: Settings, writer: Writer, tmp_path: Path) -> None:
    write(writer, 0, 10)
    backups = Backups(settings, writer)
    request_of(settings.warehouse).write_text(json.dumps({"id": "mine", "to": str(tmp_path / "copy")}))
    while request_of(settings.warehouse).exists():
        time.sleep(0.01)
    backups.close()
    assert state(tmp_path / "copy") == (10, 10, 10)


def test_a_worker_that_ends_amid_a_backup_breaks_it_off_also_where_its_cursor_has_just_gone(
    settings: Settings, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), threading.Event()

    def late_answer(*_: object) -> Path:
        begun.set()
        assert ended.wait(30)
        return answer_of(settings.warehouse).with_name("answer")

    backups = Backups(settings, writer)
    request_of(settings.warehouse).write_text(json.dumps({"id": "mine", "to": str(tmp_path / "copy")}))
    monkeypatch.setattr(streams.backups, "answer_of", late_answer)
    assert begun.wait(30)
    threading.Timer(0.2, ended.set).start()
    backups.close()
    assert json.loads(settings.warehouse.with_name("answer").read_bytes()) == {"id": "mine", "error": None}


def test_what_is_being_copied_when_a_worker_ends_is_broken_off_and_answered(
    settings: Settings, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    def endless(connection: duckdb.DuckDBPyConnection, _: Path) -> None:
        begun.set()
        connection.execute("SELECT sum(a.range * b.range) FROM range(10_000_000) a, range(10_000_000) b").fetchall()

    monkeypatch.setattr(streams.backups, "back_up", endless)
    backups = Backups(settings, writer)
    request_of(settings.warehouse).write_text(json.dumps({"id": "mine", "to": str(tmp_path / "copy")}))
    assert begun.wait(30)
    backups.close()
    assert "nterrupt" in json.loads(answer_of(settings.warehouse).read_bytes())["error"]


def test_a_bug_in_answering_stops_the_worker(settings: Settings, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.backups, "back_up", lambda *_: 1 / 0)
    backups = Backups(settings, writer)
    request_of(settings.warehouse).write_text(json.dumps({"id": "mine", "to": str(tmp_path / "copy")}))
    wait([backups.running], 30)
    with pytest.raises(ZeroDivisionError):
        backups.once()
    backups.close()


def busy(path: Path) -> None:
    """As the file of a worker in another process is found."""
    raise WarehouseBusyError(f"{path} is held by another process")


def asked(settings: Settings, target: Path, patience: float) -> str:
    """What a command is told while a worker holds the file; nothing where it is done."""
    try:
        ask_for_backup(settings, target, patience)
    except BackupError as error:
        return str(error)
    return ""


def test_a_request_is_not_taken_for_done_by_the_answer_to_one_that_was_given_up(
    settings: Settings, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(writer, 0, 10)
    monkeypatch.setattr(streams.backups, "open_file", busy)
    may_go_on, begun = threading.Event(), threading.Event()

    def slow(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
        begun.set()
        assert may_go_on.wait(30)
        back_up(connection, target)

    monkeypatch.setattr(streams.backups, "back_up", slow)
    backups = Backups(settings, writer)
    told: list[str] = []
    first = threading.Thread(target=lambda: told.append(asked(settings, tmp_path / "first.duckdb", 0.5)))
    first.start()
    while not begun.is_set():
        backups.once()
        time.sleep(0.01)
    first.join()
    assert "No worker answered" in told.pop()
    second = threading.Thread(target=lambda: told.append(asked(settings, tmp_path / "second.duckdb", 30)))
    second.start()
    while not request_of(settings.warehouse).exists():
        time.sleep(0.01)
    may_go_on.set()
    while second.is_alive():
        backups.once()
        time.sleep(0.01)
    backups.close()
    assert told == [""]
    assert state(tmp_path / "second.duckdb") == (10, 10, 10)
    assert [path.name for path in settings.warehouse.parent.glob("*backup*")] == []


def test_a_second_command_does_not_take_the_first_one_s_answer_away(
    settings: Settings, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.backups, "open_file", busy)
    request, answer = request_of(settings.warehouse), answer_of(settings.warehouse)
    told: list[str] = []
    first = threading.Thread(target=lambda: told.append(asked(settings, tmp_path / "first.duckdb", 30)))
    first.start()
    while not request.exists():
        time.sleep(0.01)
    # The worker writes its answer first; before it takes the request back, somebody else asks.
    Writer(tmp_path / "first.duckdb", NOON).close()
    answer.write_text(json.dumps({"id": json.loads(request.read_bytes())["id"], "error": None}))
    assert "asked for already" in asked(settings, tmp_path / "second.duckdb", 30)
    request.unlink()
    first.join()
    assert told == [""]


def test_a_backup_that_is_not_where_it_was_asked_for_is_not_called_done(
    settings: Settings, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams.backups, "open_file", busy)
    # A worker in a container, that has another folder under this name.
    monkeypatch.setattr(streams.backups, "back_up", lambda _connection, _target: None)
    backups = Backups(settings, writer)
    told: list[str] = []
    asking = threading.Thread(target=lambda: told.append(asked(settings, tmp_path / "copy.duckdb", 30)))
    asking.start()
    while asking.is_alive():
        backups.once()
        time.sleep(0.01)
    backups.close()
    assert "is not there" in told[0]


def test_without_a_worker_the_command_copies_by_itself_the_key_too(settings: Settings, tmp_path: Path) -> None:
    writer = Writer(settings.warehouse, NOON)
    write(writer, 0, 10)
    writer.close()
    key = settings.hmac_key()
    ask_for_backup(settings, tmp_path / "copies" / "monday.duckdb", 1)
    assert state(tmp_path / "copies" / "monday.duckdb") == (10, 10, 10)
    copied = tmp_path / "copies" / "monday.key"
    assert copied.read_bytes() == key
    assert copied.stat().st_mode & 0o777 == 0o600


def test_a_backup_of_the_warehouse_s_own_stem_in_its_folder_leaves_the_key_alone(settings: Settings) -> None:
    writer = Writer(settings.warehouse, NOON)
    write(writer, 0, 10)
    writer.close()
    key = settings.hmac_key()
    before = settings.warehouse.with_suffix(".key").stat()
    ask_for_backup(settings, settings.warehouse.with_name("w.bak"), 1)
    assert settings.hmac_key() == key
    assert settings.warehouse.with_suffix(".key").stat().st_ino == before.st_ino
    assert state(settings.warehouse.with_name("w.bak")) == (10, 10, 10)
    # By another name of the folder, too.
    settings.warehouse.parent.with_name("also").symlink_to(settings.warehouse.parent)
    assert copy_key(settings.warehouse, settings.warehouse.parent.with_name("also") / "w.bak2")
    assert settings.hmac_key() == key


@pytest.mark.parametrize("name", ["monday.duckdb", "new.key"])
def test_a_backup_does_not_take_the_place_of_another_key_and_its_own_does_not_take_that_of_the_backup(settings: Settings, tmp_path: Path, name: str) -> None:
    Writer(settings.warehouse, NOON).close()
    settings.hmac_key()
    (tmp_path / "monday.key").write_bytes(b"of another warehouse")
    with pytest.raises(BackupError, match="Name another file"):
        ask_for_backup(settings, tmp_path / name, 1)
    assert (tmp_path / "monday.key").read_bytes() == b"of another warehouse"
    assert not (tmp_path / name).exists()


def test_a_copied_key_is_for_its_owner_only_whoever_could_read_one_before_it(settings: Settings, tmp_path: Path) -> None:
    Writer(settings.warehouse, NOON).close()
    key = settings.hmac_key()
    copied = tmp_path / "monday.key"
    copied.write_bytes(key)
    copied.chmod(0o644)
    assert copy_key(settings.warehouse, tmp_path / "monday.duckdb")
    assert copied.read_bytes() == key
    assert copied.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["line", "monday.key"]


def test_a_copy_of_the_warehouse_s_own_stem_is_restored_with_the_key_that_is_there(settings: Settings) -> None:
    writer = Writer(settings.warehouse, NOON)
    write(writer, 0, 10)
    writer.close()
    key = settings.hmac_key()
    shutil.copy(settings.warehouse, settings.warehouse.with_name("w.old"))
    aside = restore(settings.warehouse.with_name("w.old"), settings.warehouse, NOON)
    assert [path.name.split(".before-")[0] for path in aside] == ["w.duckdb"]
    assert settings.hmac_key() == key


def backed_up(settings: Settings, tmp_path: Path) -> Path:
    """A backup of ten payments, with its key, of a warehouse that has another key by now."""
    writer = Writer(settings.warehouse, NOON)
    write(writer, 0, 10)
    writer.use_key(fingerprint(settings.hmac_key()), NOON)
    writer.close()
    target = tmp_path / "monday.duckdb"
    ask_for_backup(settings, target, 1)
    settings.warehouse.with_suffix(".key").write_bytes(b"another")
    return target


@pytest.mark.parametrize("without", ["the key", "the file"])
def test_a_restore_that_fails_leaves_all_as_it_was(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str) -> None:
    target, folder = backed_up(settings, tmp_path), settings.warehouse.parent
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    if without == "the key":
        target.with_suffix(".key").unlink()
        target.with_suffix(".key").mkdir()
    else:
        monkeypatch.setattr(Path, "replace", failing(Path.replace, settings.warehouse))
    with pytest.raises(OSError, match=r"Is a directory|no room"):
        restore(target, settings.warehouse, NOON)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_key_that_could_not_be_copied_leaves_nothing_of_itself(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = backed_up(settings, tmp_path)
    before = sorted(path.name for path in (*settings.warehouse.parent.iterdir(), *tmp_path.glob("*.*")))

    def full(_: int) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no room"):
        copy_key(settings.warehouse, tmp_path / "tuesday.duckdb")
    with pytest.raises(OSError, match="no room"):
        restore(target, settings.warehouse, NOON)
    assert sorted(path.name for path in (*settings.warehouse.parent.iterdir(), *tmp_path.glob("*.*"))) == before


def failing(replace: Callable[[Path, Path], Path], taken: Path) -> Callable[[Path, Path], Path]:
    def refused(part: Path, target: Path) -> Path:
        if target == taken:
            raise OSError("no room")
        return replace(part, target)

    return refused


@pytest.mark.parametrize("at", ["hardlink_to", "unlink", "replace"])
def test_a_restore_that_is_killed_leaves_a_warehouse_that_a_worker_goes_on_with_or_refuses(settings: Settings, tmp_path: Path, at: str) -> None:
    target = backed_up(settings, tmp_path)
    script = (
        "import os, signal, sys\nfrom datetime import UTC, datetime\nfrom pathlib import Path\nfrom warehouse.backup import restore\n"
        f"before = Path.{at}\n"
        f"def killed(*given, **named):\n    before(*given, **named)\n    if 'w.' in given[0].name: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"Path.{at} = killed\nrestore(Path(sys.argv[1]), Path(sys.argv[2]), datetime.now(UTC))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(target), str(settings.warehouse)], check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    assert state(settings.warehouse) == (10, 10, 10)
    # Once more, and it is whole.
    restore(target, settings.warehouse, NOON)
    assert state(settings.warehouse) == (10, 10, 10)
    assert settings.hmac_key() == target.with_suffix(".key").read_bytes()


def test_a_backup_without_its_key_is_not_called_done(settings: Settings, tmp_path: Path) -> None:
    target = backed_up(settings, tmp_path)
    with pytest.raises(BackupError, match=r"tuesday\.duckdb is written, but without its key.*beside the warehouse is [0-9a-f]{12}"):
        ask_for_backup(settings, tmp_path / "other" / "tuesday.duckdb", 1)
    settings.warehouse.with_suffix(".key").unlink()
    with pytest.raises(BackupError, match=r"without its key.*beside the warehouse is none"):
        ask_for_backup(settings, tmp_path / "wednesday.duckdb", 1)
    assert not settings.warehouse.with_suffix(".key").exists()
    assert state(target) == (10, 10, 10)


def test_a_restored_backup_takes_the_place_of_the_file_and_of_its_log(settings: Settings, tmp_path: Path) -> None:
    writer = Writer(settings.warehouse, NOON)
    write(writer, 0, 10)
    key = settings.hmac_key()
    back_up(writer.connection, tmp_path / "monday.duckdb")
    assert copy_key(settings.warehouse, tmp_path / "monday.duckdb")
    write(writer, 10, 30)
    # As a kill leaves it: the last batch is in the log only.
    log = settings.warehouse.with_name("w.duckdb.wal")
    left = log.read_bytes()
    writer.close()
    log.write_bytes(left)
    settings.warehouse.with_suffix(".key").write_bytes(b"another")
    aside = restore(tmp_path / "monday.duckdb", settings.warehouse, NOON)
    assert sorted(path.name.split(".before-")[0] for path in aside) == ["w.duckdb", "w.key"] or len(aside) == 3
    assert state(settings.warehouse) == (10, 10, 10)
    assert settings.hmac_key() == key
    assert state(tmp_path / "monday.duckdb") == (10, 10, 10)


def test_of_a_copy_beside_the_log_of_another_file_the_log_is_named(settings: Settings, writer: Writer, tmp_path: Path) -> None:
    write(writer, 0, 10)
    back_up(writer.connection, tmp_path / "monday.duckdb")
    write(writer, 10, 30)
    log = settings.warehouse.with_name("w.duckdb.wal")
    left = log.read_bytes()
    writer.close()
    log.write_bytes(left)
    shutil.copy(tmp_path / "monday.duckdb", settings.warehouse)
    with pytest.raises(WarehouseDamagedError, match=r"move .*w\.duckdb\.wal away; onnuri restore FILE"):
        open_file(settings.warehouse)
    log.unlink()
    assert state(settings.warehouse) == (10, 10, 10)


@pytest.mark.parametrize("other", [False, True], ids=["removed", "replaced"])
def test_a_worker_says_that_its_file_has_gone_and_gives_a_backup_of_what_it_has(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture, *, other: bool
) -> None:
    line = Line(settings, Writer(settings.warehouse, NOON), Letters(settings))
    tending, backups = Tending(settings, line.writer, line), Backups(settings, line.writer)
    write(line.writer, 0, 10)
    tending._look_at_file()
    assert line.state == "starting"
    settings.warehouse.unlink()
    if other:
        Writer(settings.warehouse, NOON).close()
    write(line.writer, 10, 30)
    for _ in range(2):
        tending._look_at_file()
        assert line.state == "waiting: the warehouse's file was removed or replaced"
    assert caplog.text.count("onnuri backup --from-worker FILE") == 1
    ask_for_backup(settings, tmp_path / "saved.duckdb", 30, from_worker=True)
    assert state(tmp_path / "saved.duckdb") == (30, 30, 30)
    with pytest.raises(WarehouseMissingError, match="removed or replaced"):
        line.writer.reopen()
    backups.close()
    tending.close()
    line.close()


def test_a_warehouse_that_is_a_link_stays_one(settings: Settings, writer: Writer, tmp_path: Path) -> None:
    write(writer, 0, 10)
    back_up(writer.connection, tmp_path / "monday.duckdb")
    writer.close()
    (disk := tmp_path / "large disk").mkdir()
    settings.warehouse.rename(disk / "w.duckdb")
    settings.warehouse.symlink_to(disk / "w.duckdb")
    (aside,) = restore(tmp_path / "monday.duckdb", settings.warehouse, NOON)
    assert settings.warehouse.is_symlink() and aside.parent == disk
    assert state(settings.warehouse) == (10, 10, 10)


def test_nothing_is_restored_under_a_running_worker_or_from_what_is_no_backup(settings: Settings, writer: Writer, tmp_path: Path) -> None:
    write(writer, 0, 10)
    back_up(writer.connection, tmp_path / "monday.duckdb")
    (tmp_path / "junk").write_bytes(random.Random(1).randbytes(50_000))
    code = "import sys; from pathlib import Path; from datetime import datetime; from warehouse.backup import restore; restore(*map(Path, sys.argv[1:]), datetime.now())"
    held = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "monday.duckdb", settings.warehouse], capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False
    )
    assert WarehouseBusyError.__name__ in held.stderr
    writer.close()
    # The file that was named is told, and not what to do with a warehouse that is well.
    with pytest.raises(BackupError, match=r"junk is no backup of a warehouse.* is untouched") as refused:
        restore(tmp_path / "junk", settings.warehouse, NOON)
    assert "start again" not in str(refused.value)
    with pytest.raises(BackupError, match="no file"):
        restore(tmp_path / "none", settings.warehouse, NOON)
    assert state(settings.warehouse) == (10, 10, 10)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a writer that was killed: half of the batches in the file, half in its log."""
    path = tmp_path_factory.mktemp("killed") / "w.duckdb"
    code = (
        "import os, sys; from pathlib import Path; from tests.events_data import NOON; from tests.test_backup import write; from warehouse.ingest import Writer\n"
        "writer = Writer(Path(sys.argv[1]), NOON)\n"
        "for low in range(0, 1_200, 100):\n"
        "    write(writer, low, low + 100)\n"
        "    if low == 600: writer.connection.execute('CHECKPOINT')\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, path], cwd=Path(__file__).parents[1], check=False)
    assert path.with_name("w.duckdb.wal").stat().st_size > 10_000
    return path


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_or_log_is_refused_in_words_or_gives_an_earlier_state_whole(killed: Path, tmp_path: Path, seed: int) -> None:
    for file in killed.parent.glob("w.duckdb*"):
        shutil.copy(file, tmp_path)
    chance = random.Random(seed)
    hurt = tmp_path / chance.choice(["w.duckdb", "w.duckdb.wal"])
    content = bytearray(hurt.read_bytes())
    where = chance.randrange(len(content))
    match chance.choice(["cut", "flip", "gone"] if hurt.suffix == ".wal" else ["cut", "flip"]):
        case "cut":
            hurt.write_bytes(content[:where])
        case "flip":
            content[where : where + 8] = bytes(byte ^ 0xFF for byte in content[where : where + 8])
            hurt.write_bytes(content)
        case "gone":
            hurt.unlink()
    found, refused = None, ""
    try:
        found = state(tmp_path / "w.duckdb")
    except (WarehouseDamagedError, duckdb.Error) as error:
        refused = str(error)
    if found:
        assert found[0] == found[1] == found[2] in range(700, 1_201)
    else:
        # A block of rows that is read later says so when it is read.
        assert "onnuri restore" in refused or "Corrupt" in refused


OUT_OF_DESCRIPTORS = """
import os, resource, sys
from pathlib import Path
from tests.events_data import NOON
from tests.test_backup import write
from warehouse.connection import passes
from warehouse.ingest import Writer

writer = Writer(Path(sys.argv[1]), NOON)
write(writer, 0, 10)
writer.stopped = True
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
close = writer.close

def close_and_use_up():
    close()
    while True:
        try:
            held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            break
    for _ in range(int(sys.argv[2])):
        os.close(held.pop())

writer.close = close_and_use_up
try:
    writer.reopen()
except Exception as error:
    print(type(error).__name__, passes(error), error)
for descriptor in held:
    os.close(descriptor)
writer.close = close
writer.reopen()
write(writer, 10, 20)
print(writer.sources()["payments", 0].next_offset)
"""


@pytest.mark.parametrize("spare", [0, 1])
def test_without_a_file_descriptor_the_warehouse_is_not_called_damaged_and_is_opened_once_there_is_one(tmp_path: Path, spare: int) -> None:
    command = [sys.executable, "-c", OUT_OF_DESCRIPTORS, tmp_path / "w.duckdb", str(spare)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    assert ran.stdout.startswith("WarehouseShutError True ")
    assert "Too many open files" in ran.stdout
    assert "ulimit -n" in ran.stdout
    assert "restore" not in ran.stdout
    assert ran.stdout.endswith("\n20\n")


def test_a_file_that_this_user_may_not_open_is_not_called_damaged(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, **_: object) -> duckdb.DuckDBPyConnection:
        raise duckdb.IOException(f'IO Error: Cannot open file "{path}": Permission denied')

    monkeypatch.setattr(duckdb, "connect", refused)
    with pytest.raises(WarehouseShutError, match=r"Permission denied.*no damage.*user that onnuri runs as"):
        open_file(writer.path)


@pytest.mark.parametrize("at", ["its first bytes", "its first tables"])
def test_a_first_start_on_a_full_disk_leaves_nothing_that_could_never_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    path = tmp_path / "w.duckdb"

    def full(*_: object, **__: object) -> None:
        path.write_bytes(b"x" * 4096) if at == "its first bytes" else path.with_name("w.duckdb.wal").touch()
        raise duckdb.IOException(f'IO Error: Could not write file "{path}": No space left on device')

    with monkeypatch.context() as patched:
        patched.setattr(*((duckdb, "connect") if at == "its first bytes" else (warehouse.connection, "migrate")), full)
        with pytest.raises(WarehouseShutError, match="Make room on the disk"):
            open_file(path)
        assert list(tmp_path.iterdir()) == []
    open_file(path).close()
    kept = path.read_bytes()
    with monkeypatch.context() as patched:
        # One that was there stays.
        patched.setattr(warehouse.connection, "migrate", lambda opened: opened.execute("FROM nothing"))
        with pytest.raises(WarehouseDamagedError):
            open_file(path)
    assert path.read_bytes() == kept


@pytest.mark.parametrize("why", ["Too many open files", "Permission denied"])
def test_a_log_that_cannot_be_opened_at_commit_is_tried_again(why: str) -> None:
    assert passes(duckdb.TransactionException(f'TransactionContext Error: Failed to commit: Cannot open file "w.duckdb.wal": {why}'))


@pytest.mark.parametrize("left", ["nothing", "the log", "a file without rows"])
def test_a_warehouse_that_is_gone_does_not_silently_begin_anew(settings: Settings, left: str) -> None:
    writer = Writer(settings.warehouse, NOON)
    Publisher(writer.connection, settings.published_folder).publish(NOON, NOON, {}, {})
    writer.close()
    settings.warehouse.unlink()
    if left == "a file without rows":
        open_file(settings.warehouse).close()
    if left == "the log":
        settings.warehouse.with_name("w.duckdb.wal").write_bytes(b"left over")
    for _ in range(2):
        with pytest.raises(WarehouseDamagedError, match="onnuri restore"):
            wait_for_warehouse(settings)
    # Who means it says so by moving away what was published.
    shutil.rmtree(settings.published_folder)
    settings.warehouse.with_name("w.duckdb.wal").unlink(missing_ok=True)
    wait_for_warehouse(settings).close()


@pytest.mark.parametrize("left", ["a cut manifest", "files alone"])
def test_what_was_published_counts_though_its_manifest_is_cut_or_gone(settings: Settings, left: str) -> None:
    writer = Writer(settings.warehouse, NOON)
    writer.apply([chunk("payments", [payment(1)])], NOON, lambda _: None)
    Publisher(writer.connection, settings.published_folder).publish(NOON, NOON, {}, {})
    writer.close()
    settings.warehouse.unlink()
    manifest = settings.published_folder / "manifest.json"
    if left == "a cut manifest":
        manifest.write_bytes(manifest.read_bytes()[:200])
    else:
        manifest.unlink()
    with pytest.raises(WarehouseDamagedError, match="is missing, but something was published"):
        wait_for_warehouse(settings)
    assert not settings.warehouse.exists()


def test_a_standby_does_not_begin_anew_beside_what_was_published_while_it_waited(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Writer(settings.warehouse, NOON)

    def held(path: Path, *_: object, **__: object) -> Writer:
        raise WarehouseBusyError(f"{path} is held by another process")

    def publish_and_lose_the_file(_: float) -> None:
        Publisher(first.connection, settings.published_folder).publish(NOON, NOON, {}, {})
        first.close()
        settings.warehouse.unlink()
        monkeypatch.undo()

    monkeypatch.setattr(standby, "Writer", held)
    monkeypatch.setattr(time, "sleep", publish_and_lose_the_file)
    with pytest.raises(WarehouseDamagedError, match="is missing, but something was published"):
        wait_for_warehouse(settings)
    assert not settings.warehouse.exists()


def test_a_line_without_a_warehouse_is_not_told_to_move_away_what_another_line_publishes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    other = Writer(settings.warehouse.with_name("other.duckdb"), now)
    publisher = Publisher(other.connection, settings.published_folder)
    publisher.publish(now, now, {}, {})
    monkeypatch.setattr(time, "sleep", lambda seconds: publisher.publish(now, now + timedelta(seconds=seconds), {}, {}))
    with pytest.raises(FolderTakenError) as refused:
        wait_for_warehouse(settings)
    assert "move" not in str(refused.value)
    for told in (str(settings.published_folder), other.line().warehouse_id, "ONNURI_PUBLISHED"):
        assert told in str(refused.value)
    # The other one has ended. It may have been this line's, whose warehouse is gone, so both are told.
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(WarehouseDamagedError, match=r"If another line publishes there.*ONNURI_PUBLISHED.*If it was this one: .*onnuri restore"):
        wait_for_warehouse(settings)
    other.close()


def test_a_backup_that_kafka_cannot_bring_up_to_date_is_refused_with_the_missing_ranges() -> None:
    at = {("payments", n): Source(next_offset=100, topic_id=None, event_time_max=None) for n in range(5)}
    kafka = {
        ("x.payments", 0): (500, 300),  # read by a newer state up to 500, and kept from 300 on: 100 to 300 are gone
        ("x.payments", 1): (500, 100),  # all there
        ("x.payments", 2): (100, 300),  # gone, but never read: a loss that nothing mends
        ("x.payments", 3): (200, 300),  # of what is gone, up to 200 was read
    }
    with pytest.raises(WarehouseOutdatedError, match=r"payments/0 offsets 100 to 300; payments/3 offsets 100 to 200 \(.*ONNURI_ACCEPT_LOSS=true"):
        refuse_outdated(at, kafka, "x.{}".format)
    refuse_outdated(at, {key: kafka[key] for key in (("x.payments", 1), ("x.payments", 2))}, "x.{}".format)
