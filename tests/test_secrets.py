"""What must not get out: raw user ids and keys stay out of everything that is kept or said, and nothing listens for other machines."""

import hmac
import os
import stat
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import duckdb
import polars as pl
import psutil
import pytest
from pydantic import SecretStr

from streams.broker import EmbeddedBroker
from streams.demo import environment
from streams.keying import fingerprint, hider
from streams.ports import free_port
from streams.settings import SettingError, Settings
from streams.standby import refuse_other_key
from streams.topics import ensure_topics
from tests.dashboard_browser import served
from tests.events_data import NOON, encoded, failure, ms, payment
from tests.line_process import WorkerProcess, just_now, records_of
from tests.test_worker import producer
from warehouse.ingest import Writer

KEY = "the key of the city 열쇠"
USERS = [f"honggildong-{n}" for n in range(20)]
MARK = b"honggildong"


@pytest.fixture
def line(kafka: EmbeddedBroker, topics: str, tmp_path: Path) -> Settings:
    settings = Settings(
        kafka=kafka.bootstrap,
        topic_prefix=topics,
        warehouse=tmp_path / "line" / "w.duckdb",
        user_key=SecretStr(KEY),
        partitions=1,
        publish_seconds=0.2,
        batch_seconds=0.1,
        lateness_seconds=2,
        log_level="DEBUG",
        web_port=free_port(),
    )
    ensure_topics(settings)
    return settings


def listening() -> Iterator[str]:
    """The addresses at which this process's descendants answer."""
    for process in psutil.Process().children(recursive=True):
        for connection in process.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                yield connection.laddr.ip


def is_of_this_machine(address: str) -> bool:
    found = ip_address(address)
    return (found.ipv4_mapped or found).is_loopback if isinstance(found, IPv6Address) else found.is_loopback


def everything_in(database: Path) -> str:
    """Every value of every table, as text; inside the file texts are packed, so that looking for them there finds nothing."""
    with duckdb.connect(database, read_only=True) as connection:
        tables = [name for (name,) in connection.execute("SELECT table_name FROM information_schema.tables").fetchall()]
        return "".join(str(connection.execute(f'FROM "{name}"').fetchall()) for name in tables)


def test_no_raw_user_id_and_no_key_gets_out_of_a_real_run_and_nothing_listens_beyond_this_machine(line: Settings, tmp_path: Path) -> None:
    at = ms(just_now())
    with WorkerProcess(line) as worker, served(line.published_folder):
        with producer(line) as made:
            for number, user in enumerate(USERS):
                made.send(line.topic("payments"), key=b"m0001", value=encoded(payment(number, user_id=user, occurred_at=at)))
                lone = failure(number, user_id=user, occurred_at=at, market_id=None, service="login")
                made.send(line.topic("errors"), key=user.encode(), value=encoded(lone))
                # Refused, in each of the ways that say something of the record.
                for bad in (
                    encoded(lone)[:-1],
                    encoded(lone | {"code": 5}),
                    encoded(lone | {user: 1, "event_id": ""}),
                    encoded(lone | {"occurred_at": at // 1000}),
                ):
                    made.send(line.topic("errors"), key=user.encode(), value=bad)
            # Half may be refused.
            for number in range(100):
                made.send(line.topic("errors"), value=encoded(failure(1_000 + number, occurred_at=at, user_id=USERS[0])))
        worker.wait_until_read(140)
        said = [urllib.request.urlopen(f"http://127.0.0.1:{line.web_port}/{page}", timeout=5).read() for page in ("health", "metrics")]
        told = subprocess.run([sys.executable, "-m", "streams.cli", "doctor"], env={**os.environ, **environment(line)}, capture_output=True, check=False)
        # The log of what is not in the database's file yet, while it is there.
        kept = [file.read_bytes() for file in line.warehouse.parent.rglob("*") if file.is_file()]
        assert not [address for address in listening() if not is_of_this_machine(address)]
        assert len(list(listening())) >= 3
    kept += [file.read_bytes() for file in line.warehouse.parent.rglob("*") if file.is_file()]
    published = [str(pl.read_parquet(file).to_dicts()) for file in line.published_folder.rglob("*.parquet")]
    letters = records_of(line.kafka, line.topic("dead-letters"))
    headers = [value for _, _, headers in letters for _, value in headers] + [key for key, _, _ in letters if key]
    database = everything_in(line.warehouse)
    texts = [*kept, *said, told.stdout, told.stderr, *headers, *(text.encode() for text in published), database.encode()]
    assert len(letters) == 80
    assert not [text for text in texts if MARK in text or KEY.encode() in text]
    # Looked for in the right place: the users are there, hidden.
    hidden = hider(KEY.encode())([USERS[3].encode()]).tobytes().hex()
    assert hidden in database.replace("-", "")
    assert hmac.digest(KEY.encode(), USERS[3].encode(), "sha256")[:16].hex().encode() in headers
    # What is refused is kept as it came: that topic needs an ACL of its own.
    assert all(MARK in value for _, value, _ in letters)
    assert not (line.warehouse.parent / "w.key").exists()


def test_without_a_key_each_warehouse_has_a_random_one_that_only_its_owner_reads(tmp_path: Path) -> None:
    first, second = (Settings(warehouse=tmp_path / name / "w.duckdb") for name in ("one", "two"))
    assert first.hmac_key() == first.hmac_key() != second.hmac_key()
    assert len(first.hmac_key()) >= 32
    assert stat.S_IMODE((tmp_path / "one" / "w.key").stat().st_mode) == 0o600


def test_a_key_whose_writing_was_broken_off_is_not_there_and_the_next_start_makes_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(warehouse=tmp_path / "w.duckdb")

    def no_room(_: int) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", no_room)
        with pytest.raises(OSError, match="No space"):
            settings.hmac_key()
    assert list(tmp_path.iterdir()) == []
    assert len(settings.hmac_key()) == 64
    assert [file.name for file in tmp_path.iterdir()] == ["w.key"]


def test_a_key_that_another_process_makes_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (tmp_path / "w.key").write_bytes(b"k" * 64) and sync(file))
    assert Settings(warehouse=tmp_path / "w.duckdb").hmac_key() == b"k" * 64
    assert [file.name for file in tmp_path.iterdir()] == ["w.key"]


@pytest.mark.parametrize("length", [0, 31])
def test_a_key_file_that_was_cut_short_is_refused_with_what_to_do(tmp_path: Path, length: int) -> None:
    (tmp_path / "w.key").write_bytes(b"k" * length)
    with pytest.raises(SettingError, match=rf"w\.key holds {length} bytes.*backup.*remove"):
        Settings(warehouse=tmp_path / "w.duckdb").hmac_key()


def opened(settings: Settings) -> None:
    """Look at the key as a worker does at its start."""
    writer = Writer(settings.warehouse, NOON)
    try:
        refuse_other_key(settings, writer)
    finally:
        writer.close()


def test_buyers_are_not_hidden_with_another_key_unless_that_is_said(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    first, other = (Settings(warehouse=path, user_key=SecretStr(name * 32)) for name in "ab")
    a, b = (fingerprint(settings.hmac_key()) for settings in (first, other))
    opened(first)
    opened(first)
    with pytest.raises(SettingError, match=rf"fingerprint is {a}, and the one that came has {b}.*ONNURI_USER_KEY_AFTER={a} "):
        opened(other)
    with pytest.raises(SettingError, match=r"ONNURI_USER_KEY is not set and there is no .*w\.key"):
        opened(Settings(warehouse=path))
    assert not path.with_suffix(".key").exists()
    said = other.model_copy(update={"user_key_after": a})
    opened(said)
    # The setting stays where it is, and agrees to nothing more.
    opened(said)
    opened(other)
    with pytest.raises(SettingError, match=f"fingerprint is {b}"):
        opened(first.model_copy(update={"user_key_after": a}))
    assert "a" * 32 not in everything_in(path)


def test_a_random_key_that_was_lost_is_made_anew_only_where_that_is_said(tmp_path: Path) -> None:
    settings = Settings(warehouse=tmp_path / "w.duckdb")
    opened(settings)
    before = fingerprint(settings.hmac_key())
    (tmp_path / "w.key").rename(tmp_path / "moved")
    with pytest.raises(SettingError, match=rf"{before}.*put .*w\.key back"):
        opened(settings)
    assert not (tmp_path / "w.key").exists()
    opened(settings.model_copy(update={"user_key_after": before}))
    opened(settings)
    assert fingerprint(settings.hmac_key()) != before
