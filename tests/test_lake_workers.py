"""Several workers of one group on one lake, as processes, on a real Kafka; what they write is held against a recount of the topics."""

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.backups import ask_for_backup
from streams.lake_check import look_at_lake
from streams.ports import free_port
from streams.settings import SettingError, Settings
from streams.standby import refuse_unshared
from streams.topics import refuse_unequal
from tests.events_data import NOON, failure, ms, payment
from tests.lakes import make_lake
from tests.line_process import COLUMNS, WorkerProcess, just_now, published_cells, recount_topics, send_events
from warehouse.backup import BackupError
from warehouse.connection import WarehouseDamagedError
from warehouse.lake import Lake, open_lake
from warehouse.lake_writer import LakeWriter

MARKETS = [f"m{number:04}" for number in range(40)]


@pytest.fixture
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    made = make_lake(request, tmp_path)
    assert made is not None
    return made


@pytest.fixture
def workers(lake: Lake, line: Settings, tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    """Two, on topics of two partitions."""
    shared = {"warehouse": Path(lake.target), "lake_data": lake.data, "published": tmp_path / "published", "user_key": "a key that all have"}
    with ExitStack() as stack:
        yield [stack.enter_context(WorkerProcess(line, **shared, web_port=free_port())) for _ in range(2)]


def some(chance: random.Random, first: int, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Payments and failures of the last minutes, some of which recover."""
    payments, failures = [], []
    for number in range(first, first + count):
        at = {"market_id": chance.choice(MARKETS), "occurred_at": ms(just_now()) - chance.randrange(120_000)}
        if chance.random() < 0.1:
            failures.append(failure(number, **at))
        if chance.random() < 0.95:
            payments.append(payment(number, **at, attempt=chance.choice([1, 2]), amount=chance.randrange(1, 10) * 1_000))
    return payments, failures


def send_some(settings: Settings, chance: random.Random, first: int, count: int) -> int:
    payments, failures = some(chance, first, count)
    repeated = chance.sample(payments, len(payments) // 10)
    send_events(settings, "payments", [*payments, *repeated])
    send_events(settings, "errors", failures)
    return len(payments) + len(repeated) + len(failures)


def read_so_far(lake: Lake) -> dict[tuple[str, int], int]:
    with open_lake(lake, read_only=True) as connection:
        return {(t, p): n for t, p, n in connection.execute("SELECT topic, partition, accepted + duplicate + refused FROM source_offset").fetchall()}


def wait(workers: list[WorkerProcess], lake: Lake, records: int, seconds: float = 240) -> None:
    """Until so many records are in the lake; a worker that is dead is no matter here."""
    deadline = time.monotonic() + seconds
    while sum(read_so_far(lake).values()) < records:
        assert time.monotonic() < deadline, "\n".join(f"{read_so_far(lake)}\n{w.log.read_text(errors='replace')[-3000:]}" for w in workers)
        time.sleep(0.5)


def cells(lake: Lake) -> dict[tuple[Any, ...], tuple[int, ...]]:
    with open_lake(lake, read_only=True) as connection:
        found = connection.execute(f"SELECT minute_at, market_id, channel, {', '.join(COLUMNS)} FROM market_minute").fetchall()
    return {row[:3]: row[3:] for row in found}


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize("lake", ["postgres"], indirect=True)
def test_two_workers_share_the_partitions_and_one_that_is_killed_costs_no_record(lake: Lake, line: Settings, workers: list[WorkerProcess]) -> None:
    chance = random.Random(7)
    for worker in workers:
        worker.wait(lambda worker=worker: worker.health().get("status") == "ok")
    sent = send_some(line, chance, 0, 3_000)
    wait(workers, lake, sent)
    assert cells(lake) == recount_topics(line)
    # Both have written: each has had one of the two partitions.
    for worker in workers:
        assert worker.health()["committed_at"] is not None
    led = [worker for worker in workers if "This worker leads" in worker.log.read_text()]
    assert led
    sent += send_some(line, chance, 10_000, 3_000)
    led[-1].kill()
    (survivor,) = [worker for worker in workers if worker is not led[-1]]
    sent += send_some(line, chance, 20_000, 3_000)
    wait([survivor], lake, sent)
    assert cells(lake) == recount_topics(line)
    # It leads now: it closes minutes over all partitions, and publishes what the lake holds.
    survivor.wait(lambda: survivor.manifest().get("lag") == 0 and survivor.manifest()["totals"]["accepted"] == accepted(lake))
    with survivor.snapshot() as snapshot:
        assert published_cells(snapshot) == cells(lake)
        watermark = snapshot.manifest.watermark
    survivor.wait(lambda: datetime.fromisoformat(survivor.manifest()["watermark"]) > watermark + timedelta(seconds=1))


def accepted(lake: Lake) -> int:
    with open_lake(lake, read_only=True) as connection:
        return int(connection.execute("SELECT sum(accepted) FROM source_offset").fetchall()[0][0])


def test_a_lake_without_what_its_workers_have_in_common_is_refused() -> None:
    with pytest.raises(SettingError, match="ONNURI_LAKE_DATA, ONNURI_PUBLISHED, ONNURI_USER_KEY"):
        refuse_unshared(Settings(warehouse=Path("ducklake:sqlite:x.sqlite")))
    with pytest.raises(SettingError, match="ducklake:postgres"):
        Settings.read(warehouse="ducklake:mysql:x")
    refuse_unshared(Settings())


@pytest.mark.parametrize("setting", ["warehouse", "published"])
@pytest.mark.parametrize(
    ("address", "expected"),
    [("ducklake:postgres:host=db password=secret-word", "PGPASSFILE"), ("ducklake:postgres:postgresql://me:secret-word@db/onnuri", "got a URI")],
)
def test_a_password_in_the_address_of_a_lake_is_refused_and_not_repeated(setting: str, address: str, expected: str) -> None:
    with pytest.raises(SettingError, match=expected) as refused:
        Settings.read(**{setting: address})
    assert "secret-word" not in str(refused.value)


def test_topics_that_cannot_be_dealt_together_are_refused() -> None:
    refuse_unequal({"payments": 4, "errors": 4})
    with pytest.raises(SettingError, match="errors 2 and payments 4"):
        refuse_unequal({"payments": 4, "errors": 2})


def test_an_empty_lake_beside_a_published_state_is_refused(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    request.param = "sqlite"
    lake = make_lake(request, tmp_path)
    with pytest.raises(WarehouseDamagedError, match="is empty"):
        LakeWriter(lake, NOON, may_begin=False)


def test_doctor_looks_at_the_lake_and_repeats_no_password(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    request.param = "sqlite"
    lake = make_lake(request, tmp_path)
    assert lake is not None
    assert not look_at_lake(lake).ok
    LakeWriter(lake, NOON).close()
    assert look_at_lake(lake).ok and "nobody has led yet" in look_at_lake(lake).finding
    away = look_at_lake(Lake("ducklake:postgres:host=127.0.0.1 port=1 dbname=x password=secret-word", str(tmp_path)))
    assert not away.ok and "secret-word" not in away.finding


def test_a_lake_is_not_backed_up_as_a_file_is(tmp_path: Path) -> None:
    settings = Settings(warehouse=Path("ducklake:sqlite:x.sqlite"), lake_data=str(tmp_path))
    with pytest.raises(BackupError, match="pg_dump"):
        ask_for_backup(settings, tmp_path / "monday.duckdb", 1)
