"""Upkeep of a lake: few files after many commits, the same content, while others read and write, and also where it is cut off."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import duckdb
import pytest

from tests.events_data import NOON, chunk, failure, ms, payment
from tests.lakes import make_lake
from tests.test_ingest import ignore
from tests.test_stores import begin, contents, rows
from warehouse import lake_writer
from warehouse import upkeep as upkeep_module
from warehouse.lake import Lake
from warehouse.lake_errors import NotLeadingError, conflicts
from warehouse.lake_writer import LakeWriter
from warehouse.reading import open_snapshot
from warehouse.upkeep import MANY, META, RECENT, Upkeep

LATER = timedelta(days=30)
"""After the upkeep's own commits, so that all is old."""


@pytest.fixture(params=["sqlite", "postgres"])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    made = make_lake(request, tmp_path)
    assert made is not None
    return made


def leader(lake: Lake, partition: int = 0) -> LakeWriter:
    writer = LakeWriter(lake, NOON)
    begin(writer, ("payments", partition), ("errors", partition))
    writer.lead()
    return writer


def commits(writer: LakeWriter, numbers: range, partition: int = 0) -> None:
    """One commit for each number, of enough events that they become files."""
    for number in numbers:
        at = ms(NOON) - 3_600_000 + number * 10_000
        offset = writer.held["payments", partition], writer.held["errors", partition]
        paid = chunk("payments", [payment(number * 100 + n, occurred_at=at + n) for n in range(12)], first_offset=offset[0], partition=partition)
        failed = chunk("errors", [failure(number * 100 + 50 + n, occurred_at=at + n) for n in range(3)], first_offset=offset[1], partition=partition)
        writer.apply([paid, failed], NOON, ignore)


def files(writer: LakeWriter) -> int:
    return int(rows(writer, f"SELECT count(*) FROM {META}.ducklake_data_file WHERE end_snapshot IS NULL")[0][0])


def stored(lake: Lake) -> set[str]:
    return {file.name for file in Path(lake.data).rglob("*.parquet")}


def test_files_stay_few_and_content_the_same_over_many_commits(lake: Lake) -> None:
    writer = leader(lake)
    upkeep = Upkeep(lake, writer.worker, days=1)
    most = []
    for turn in range(4):
        commits(writer, range(turn * 25, turn * 25 + 25))
        before = contents(writer)
        done = upkeep.once(datetime.now(UTC) + timedelta(hours=turn))
        assert contents(writer) == before
        assert any(what.startswith("settle") for what in done)
        most.append(files(writer))
    # 100 commits that made several files each.
    assert max(most) < 120 and most[-1] < most[1] + 2 * MANY, most
    before = contents(writer)
    done = upkeep.once(datetime.now(UTC) + LATER)
    assert any(what.startswith("expire") for what in done)
    # What expired lay in files that go when nobody can have them open any more.
    upkeep.once(datetime.now(UTC) + 2 * LATER)
    assert contents(writer) == before
    assert len(stored(lake)) < 150
    assert rows(writer, f"SELECT count(*) < 40 FROM {META}.ducklake_snapshot") == [(True,)]
    upkeep.close()
    writer.close()
    again = LakeWriter(lake, NOON)
    assert contents(again) == before
    again.close()


def test_a_lake_that_is_attached_anew_all_the_time_is_written_and_looked_after_as_before(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = leader(lake)
    upkeep = Upkeep(lake, writer.worker, days=1)
    assert not writer.worn
    commits(writer, range(20))
    before = contents(writer)
    for module in (lake_writer, upkeep_module):
        monkeypatch.setattr(module, "ATTACHED_SECONDS", -1.0)
    held = writer.connection, upkeep.connection
    # What came before is known, whichever connection it was written on.
    for first in (0, 10):
        assert writer.worn
        writer.reopen()
        commits(writer, range(first, first + 10))
        # All of it is counted as duplicates, and changes nothing else.
        assert {**contents(writer), "source_offset": None} == {**before, "source_offset": None}
        before = contents(writer)
        assert upkeep.once(datetime.now(UTC) + timedelta(hours=first))
        assert contents(writer) == before
    assert writer.connection is not held[0]
    assert upkeep.connection is not held[1]
    upkeep.close()
    writer.close()


def test_progress_that_is_set_while_upkeep_goes_on_is_there_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.upkeep.INLINED", 5)
    writer = leader(lake)
    upkeep = Upkeep(lake, writer.worker, days=1)
    commits(writer, range(10))
    for looked_after in (True, False):
        try:
            with writer.transaction():
                # As a batch does, which sees the lake as it was at its beginning.
                writer.connection.execute("UPDATE progress.of_0 SET next_offset = next_offset + 84, accepted = accepted + 84 WHERE topic = 'payments'")
                if looked_after:
                    done = upkeep._flush()
                    assert "main.failure" in done
                    # What workers update stays in the catalog: written into a file and updated at once, it was once there twice.
                    assert not [table for table in done if table.startswith("progress.")]
        except duckdb.TransactionException as error:
            # SQLite lets one of two write, and says so. The batch is written again.
            if not conflicts(error):
                raise
        else:
            break
    assert rows(writer, "SELECT next_offset, accepted FROM source_offset WHERE topic = 'payments'") == [(204, 204)]
    upkeep.close()
    writer.close()


def test_outdated_rows_in_the_catalog_go_with_the_snapshots_that_had_them(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.upkeep.INLINED", 5)
    writer = leader(lake)
    upkeep = Upkeep(lake, writer.worker, days=1)
    commits(writer, range(20))
    before = contents(writer)
    with open_snapshot(Path(lake.target)) as snapshot:
        number, said = snapshot.manifest.sequence, snapshot.manifest.sources
    ((inlined,),) = rows(
        writer, f"SELECT i.table_name FROM {META}.ducklake_inlined_data_tables i JOIN {META}.ducklake_table t USING (table_id) WHERE t.table_name = 'of_0'"
    )
    held = f"SELECT count(*) FROM {META}.{inlined}"
    upkeep._flush()
    assert rows(writer, held) > [(20,)], "all of it is in a snapshot that is kept"
    commits(writer, range(20, 22))
    writer.connection.execute(
        "INSERT INTO report_edition (edition_id, incident_id, stage, issued_at, issued_by, manifest_sequence) VALUES (uuid(), 'i', 'final', now(), 'x', ?)",
        [number],
    )
    before = contents(writer)
    upkeep._expire(datetime.now(UTC) + LATER)
    upkeep._flush()
    # Those of now, and those of the snapshot that the edition names; each of two topics.
    assert rows(writer, held) == [(4,)]
    assert contents(writer) == before
    with open_snapshot(Path(lake.target), number) as snapshot:
        assert snapshot.manifest.sources == said
    upkeep.close()
    writer.close()


def test_of_snapshots_that_are_not_recent_the_last_of_each_hour_stays_for_some_days(lake: Lake) -> None:
    writer = leader(lake)
    commits(writer, range(20))
    numbers = [number for (number,) in rows(writer, f"SELECT snapshot_id FROM {META}.ducklake_snapshot ORDER BY 1")]
    now = datetime.now(UTC)
    # As if one had been made every seven minutes, and the first ones days ago.
    made = {number: now - timedelta(minutes=7) * back - timedelta(days=3) * (back > len(numbers) - 5) for back, number in enumerate(reversed(numbers))}
    for number, at in made.items():
        writer.connection.execute(f"UPDATE {META}.ducklake_snapshot SET snapshot_time = ? WHERE snapshot_id = ?", [at, number])
    upkeep = Upkeep(lake, writer.worker, days=1)
    upkeep._expire(now)
    kept = {number for (number,) in rows(writer, f"SELECT snapshot_id FROM {META}.ducklake_snapshot")}
    last = {at.replace(minute=0, second=0, microsecond=0): number for number, at in sorted(made.items()) if now - at < timedelta(days=1)}
    assert kept == {number for number, at in made.items() if now - at <= RECENT} | set(last.values())
    assert len(numbers) > len(kept) > len(last) > 2
    upkeep.close()
    writer.close()


def test_a_snapshot_that_an_edition_names_stays(lake: Lake) -> None:
    writer = leader(lake)
    commits(writer, range(3))
    with open_snapshot(Path(lake.target)) as snapshot:
        number, said = snapshot.manifest.sequence, snapshot.sql("SELECT sum(approved) FROM market_minute").rows()
    writer.connection.execute(
        "INSERT INTO report_edition (edition_id, incident_id, stage, issued_at, issued_by, manifest_sequence) VALUES (uuid(), 'i', 'final', now(), 'x', ?)",
        [number],
    )
    commits(writer, range(3, 40))
    upkeep = Upkeep(lake, writer.worker, days=1)
    for days in (3, 6):
        upkeep.once(datetime.now(UTC) + timedelta(days=days))
    with open_snapshot(Path(lake.target), number) as snapshot:
        assert snapshot.sql("SELECT sum(approved) FROM market_minute").rows() == said
    with pytest.raises(LookupError, match="expired"):
        open_snapshot(Path(lake.target), number + 1)
    upkeep.close()
    writer.close()


def test_upkeep_goes_on_beside_a_writer_and_a_reader(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    # Also of the tables of progress, which every commit updates.
    monkeypatch.setattr("warehouse.upkeep.INLINED", 10)
    writer = leader(lake)
    other = LakeWriter(lake, NOON)
    begin(other, ("payments", 1), ("errors", 1))
    upkeep = Upkeep(lake, writer.worker, days=1)
    reader = subprocess.Popen([sys.executable, "-m", "tests.lake_reader", lake.target], stdout=subprocess.PIPE, text=True)
    failed: list[BaseException] = []

    def write() -> None:
        try:
            commits(other, range(200, 230), partition=1)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    thread = Thread(target=write)
    thread.start()
    commits(writer, range(20))
    while thread.is_alive():
        # All that there is to do each time, by the real clock: at a later one, files of a commit that is under way would be a day old.
        upkeep.due.clear()
        upkeep.once(datetime.now(UTC))
        time.sleep(0.2)  # SQLite lets whoever asks most often go first
    thread.join()
    assert not failed, failed
    reader.send_signal(signal.SIGTERM)
    seen = [int(line) for line in (reader.communicate(timeout=60)[0]).split()]
    assert reader.returncode == 0 and len(seen) > 3 and seen == sorted(seen)
    assert rows(writer, "SELECT sum(approved), sum(failed) FROM market_minute") == [(50 * 12, 50 * 3)]
    assert rows(writer, "SELECT count(*), count(DISTINCT event_id) FROM payment") == [(50 * 12, 50 * 12)]
    for one in (upkeep, other, writer):
        one.close()


def test_upkeep_that_is_killed_leaves_nothing_wrong(lake: Lake, tmp_path: Path) -> None:
    writer = leader(lake)
    for round_ in range(3):
        commits(writer, range(round_ * 20, round_ * 20 + 20))
        before = contents(writer)
        killed = subprocess.Popen([sys.executable, "-m", "tests.lake_upkeep", lake.target, lake.data, writer.worker], stdout=subprocess.PIPE, text=True)
        assert killed.stdout is not None and killed.stdout.readline() == "begin\n"
        time.sleep(0.15 + 0.25 * round_)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate()
        assert contents(writer) == before
    upkeep = Upkeep(lake, writer.worker, days=1)
    for days in (3, 6):
        upkeep.once(datetime.now(UTC) + timedelta(days=days))
    assert contents(writer) == before
    known = rows(
        writer,
        f"SELECT path FROM {META}.ducklake_data_file UNION ALL SELECT path FROM {META}.ducklake_delete_file UNION ALL SELECT path FROM {META}.ducklake_files_scheduled_for_deletion",
    )
    assert stored(lake) <= {Path(path).name for (path,) in known}
    upkeep.close()
    writer.close()


def test_a_fault_in_one_duty_keeps_none_of_the_others_from_being_done(lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def merging(_: Upkeep) -> list[str]:
        raise duckdb.InternalException("Compaction error")

    writer = leader(lake)
    commits(writer, range(3))
    upkeep = Upkeep(lake, writer.worker, days=1)
    monkeypatch.setattr(Upkeep, "_flush", merging)
    now = datetime.now(UTC)
    assert any(done.startswith("settle") for done in upkeep.once(now))
    assert "flush, failed" in caplog.text
    assert {"settle", "flush", "merge", "expire"} <= upkeep.due.keys()
    assert upkeep.once(now) == []
    for one in (upkeep, writer):
        one.close()


def test_a_catalog_in_postgresql_finds_the_files_of_a_table_by_an_index(lake: Lake) -> None:
    if not lake.postgres:
        pytest.skip("SQLite's catalog is as DuckLake makes it")
    writer = leader(lake)
    for _ in range(2):
        upkeep = Upkeep(lake, writer.worker, days=1)
        upkeep.once(datetime.now(UTC))
        upkeep.close()
    made = rows(
        writer, f"SELECT tablename, indexdef FROM postgres_query('{META}', 'SELECT tablename, indexdef FROM pg_indexes') WHERE indexdef LIKE '%onnuri%'"
    )
    assert sorted((table, text.partition(" USING ")[2]) for table, text in made) == [
        ("ducklake_data_file", "btree (table_id)"),
        ("ducklake_file_column_stats", "btree (table_id, column_id)"),
    ]
    writer.close()


def test_only_who_leads_looks_after_a_lake(lake: Lake) -> None:
    writer = leader(lake)
    upkeep = Upkeep(lake, "another", days=1)
    with pytest.raises(NotLeadingError):
        upkeep.once(datetime.now(UTC))
    upkeep.close()
    writer.close()
