"""Publishing from a real DuckDB file: what is written, what is left alone, and what readers and crashes find."""

import errno
import json
import shutil
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tests.events_data import NOON, chunk, failure, ms, payment
from tests.line_process import published_cells, recount
from warehouse import publishing
from warehouse.backup import back_up
from warehouse.ingest import Writer
from warehouse.publishing import KEEP_SECONDS, Publisher, PublishingEndedError
from warehouse.reading import FolderTakenError, Manifest, NothingPublishedError, Snapshot, open_snapshot
from warehouse.states import HOURLY, wanted_files

HOUR = timedelta(hours=1)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    made = Writer(tmp_path / "w.duckdb", NOON)
    yield made
    made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "published"


def write(writer: Writer, *events: dict[str, Any], topic: str = "payments", now: datetime = NOON) -> None:
    source = writer.sources().get((topic, 0))
    writer.apply([chunk(topic, events, first_offset=source.next_offset if source else 0, now=now)], now, lambda _: None)


def publish(publisher: Publisher, log_ends: Mapping[tuple[str, int], int] | None = None) -> dict[str, Any]:
    """Publish with the logs' ends where the warehouse stands, unless told otherwise."""
    rows = publisher.connection.execute("SELECT topic, partition, next_offset FROM source_offset").fetchall()
    return publisher.publish(NOON, NOON, log_ends or {(topic, partition): offset for topic, partition, offset in rows}, {})


def cells(folder: Path) -> dict[tuple[Any, ...], tuple[int, ...]]:
    with open_snapshot(folder) as snapshot:
        return published_cells(snapshot)


def parquet(folder: Path) -> dict[str, int]:
    """Each published file and when it was last written."""
    return {file.relative_to(folder).as_posix(): file.stat().st_mtime_ns for file in folder.glob("*/*.parquet")}


def paths(hours: Mapping[datetime, int], tables: Mapping[str, int], hourly_days: int, table: str) -> list[str]:
    return [file.path for file in wanted_files(hours, tables, hourly_days) if file.table == table]


def test_the_newest_days_in_seoul_are_published_by_hour_and_older_ones_by_day():
    # 15:00 UTC is midnight in Seoul: the last two hours belong to two days.
    hours = {datetime(2025, 2, 27, 3): 5, datetime(2025, 2, 27, 4): 2, datetime(2025, 2, 28, 14): 1, datetime(2025, 2, 28, 15): 4}
    assert paths(hours, {}, 2, "market_minute") == [
        "market_minute/2025-02-27.v7.parquet",
        "market_minute/2025-02-28T14Z.v1.parquet",
        "market_minute/2025-02-28T15Z.v4.parquet",
    ]
    assert paths(hours, {}, 2, "merchant_day") == [f"merchant_day/{name}.parquet" for name in ("2025-02-27.v7", "2025-02-28.v1", "2025-03-01.v4")]


def test_where_much_is_still_to_be_read_every_day_is_one_file():
    hours = {datetime(2025, 2, 28, 3): 1, datetime(2025, 2, 28, 4): 1, datetime(2025, 3, 1, 3): 2}
    assert paths(hours, {}, 0, "market_minute") == ["market_minute/2025-02-28.v2.parquet", "market_minute/2025-03-01.v2.parquet"]


def test_small_tables_are_one_file_a_version_and_the_audit_log_is_not_published():
    files = wanted_files({}, {"market": 3, "incident": 1, "command": 2}, 2)
    assert [file.path for file in files] == ["market/v3.parquet", "incident/v1.parquet"]


def test_readers_find_every_cell(writer: Writer, folder: Path):
    payments = [payment(n, occurred_at=ms(NOON) - n * 1_800_000) for n in range(100)]
    failures = [failure(n, occurred_at=ms(NOON) - n * 1_800_000) for n in range(90, 120)]
    write(writer, *payments)
    write(writer, *failures, topic="errors")
    publish(Publisher(writer.connection, folder))
    assert cells(folder) == recount(payments, failures)


def test_only_touched_hours_are_written_again(writer: Writer, folder: Path):
    write(writer, payment(1), payment(2, occurred_at=ms(NOON - HOUR)))
    publisher = Publisher(writer.connection, folder)
    publish(publisher)
    before = parquet(folder)
    write(writer, payment(3))
    manifest = publish(publisher)
    named = [path for files in manifest["files"].values() for path in files]
    first = writer.first_version
    assert sorted(set(named) - set(before)) == [
        f"issuer_minute/2025-03-01T03Z.v{first + 1}.parquet",
        f"market_minute/2025-03-01T03Z.v{first + 1}.parquet",
        f"merchant_day/2025-03-01.v{2 * first + 1}.parquet",
        f"nation_minute/2025-03-01T03Z.v{first + 1}.parquet",
        # There is no list of markets here, so the market is not on it.
        f"unknown_name/v{first + 1}.parquet",
    ]
    after = parquet(folder)
    assert all(after[path] == written for path, written in before.items())
    assert f"market_minute/2025-03-01T02Z.v{first}.parquet" in named


def test_files_of_another_warehouse_in_the_same_folder_are_not_taken_for_ours(tmp_path: Path, folder: Path):
    for number, made_at in enumerate((NOON, NOON + HOUR)):
        other = Writer(tmp_path / f"w{number}.duckdb", made_at)
        event = payment(number + 1, amount=1_000 + number)
        write(other, event)
        # Of a folder that was moved away, files may be left; with its manifest it would be refused.
        (folder / "manifest.json").unlink(missing_ok=True)
        publish(Publisher(other.connection, folder))
        assert cells(folder) == recount([event], [])
        other.close()


def test_a_folder_that_another_line_publishes_into_is_refused_and_left_as_it_is(writer: Writer, tmp_path: Path, folder: Path):
    write(writer, payment(1))
    publish(Publisher(writer.connection, folder))
    before = parquet(folder)
    other = Writer(tmp_path / "other.duckdb", NOON)
    with pytest.raises(FolderTakenError) as refused:
        Publisher(other.connection, folder)
    for told in (str(folder), writer.line().warehouse_id, other.line().warehouse_id, "ONNURI_PUBLISHED"):
        assert told in str(refused.value)
    other.close()
    assert parquet(folder) == before and cells(folder) == recount([payment(1)], [])


def test_of_two_lines_that_begin_at_once_in_one_folder_only_the_first_publishes(writer: Writer, tmp_path: Path, folder: Path):
    other = Writer(tmp_path / "other.duckdb", NOON)
    first, second = Publisher(writer.connection, folder), Publisher(other.connection, folder)
    write(writer, payment(1))
    publish(first)
    with pytest.raises(FolderTakenError):
        publish(second)
    other.close()
    publish(first)
    assert cells(folder) == recount([payment(1)], [])


def test_what_a_restored_backup_reads_anew_replaces_what_was_published_before(tmp_path: Path, folder: Path):
    path, backup = tmp_path / "w.duckdb", tmp_path / "backup.duckdb"
    made = Writer(path, NOON)
    write(made, payment(1))
    made.close()
    shutil.copy(path, backup)
    made = Writer(path, NOON + HOUR)
    write(made, payment(2))
    publish(Publisher(made.connection, folder))
    made.close()
    restored = Writer(backup, NOON + 2 * HOUR)
    other = payment(3, amount=1_000)
    write(restored, other)
    publish(Publisher(restored.connection, folder))
    assert cells(folder) == recount([payment(1), other], [])
    restored.close()


def test_a_backup_that_is_restored_once_a_fast_clock_was_set_right_publishes_nothing_under_a_name_that_is_taken(tmp_path: Path, folder: Path):
    backup = tmp_path / "backup.duckdb"
    made = Writer(tmp_path / "w.duckdb", NOON + HOUR)
    write(made, payment(1))
    back_up(made.connection, backup)
    write(made, payment(2))
    publish(Publisher(made.connection, folder))
    made.close()
    restored = Writer(backup, NOON)
    other = payment(3, amount=1_000)
    write(restored, other)
    publish(Publisher(restored.connection, folder))
    assert cells(folder) == recount([payment(1), other], [])
    restored.close()


def test_a_file_that_is_named_again_and_dropped_again_is_kept_anew(writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch):
    clock = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    write(writer, payment(1))
    publisher = Publisher(writer.connection, folder)
    behind = {("payments", 0): 10**9}
    # Behind, days are one file; then hours, then days again: the same file of the day each time.
    day = set(publish(publisher, behind)["files"]["market_minute"])
    publish(publisher)
    clock[0] += KEEP_SECONDS - 1
    assert set(publish(publisher, behind)["files"]["market_minute"]) == day
    publish(publisher)
    clock[0] += KEEP_SECONDS - 1
    publish(publisher)
    assert day <= set(parquet(folder))


def test_a_span_without_rows_has_no_file(writer: Writer, folder: Path):
    write(writer, payment(1))
    manifest = publish(Publisher(writer.connection, folder))
    assert "service_minute" not in manifest["files"]
    assert set(manifest["files"]) & HOURLY.keys() == {"market_minute", "issuer_minute", "nation_minute"}


def test_what_is_known_to_be_empty_is_not_looked_at_again(writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch):
    write(writer, payment(1))
    publisher = Publisher(writer.connection, folder)
    publish(publisher)
    looked: list[str] = []
    copy = Publisher._copy
    monkeypatch.setattr(Publisher, "_copy", lambda self, cursor, file, target: looked.append(file.table) or copy(self, cursor, file, target))
    publish(publisher)
    publish(publisher)
    assert looked == []
    # With a new version it may hold something.
    write(writer, payment(2))
    publish(publisher)
    assert "load_minute" in looked


def test_a_failure_that_turns_out_approved_leaves_no_published_row_behind(writer: Writer, folder: Path):
    publisher = Publisher(writer.connection, folder)
    write(writer, failure(1), topic="errors")
    assert "failed_purchase" in publish(publisher)["files"]
    write(writer, payment(1, occurred_at=ms(NOON) + 90_000))
    assert "failed_purchase" not in publish(publisher)["files"]
    assert cells(folder) == recount([payment(1, occurred_at=ms(NOON) + 90_000)], [failure(1)])


def test_what_was_committed_before_a_crash_is_published_by_the_next_process(writer: Writer, folder: Path):
    events = [payment(n, occurred_at=ms(NOON) - n * 600_000) for n in range(20)]
    write(writer, *events[:10])
    first = publish(Publisher(writer.connection, folder))
    write(writer, *events[10:])
    # Here the process ends: the rows are committed and no file has them.
    assert cells(folder) == recount(events[:10], [])
    second = publish(Publisher(writer.connection, folder))
    assert second["sequence"] == first["sequence"] + 1
    assert cells(folder) == recount(events, [])


def test_a_crash_between_the_files_and_the_manifest_leaves_the_old_state_readable(writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch):
    write(writer, payment(1))
    publisher = Publisher(writer.connection, folder)
    publish(publisher)
    write(writer, payment(2))

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "_replace", power_cut)
        with pytest.raises(KeyboardInterrupt):
            publish(publisher)
    assert cells(folder) == recount([payment(1)], [])
    written = parquet(folder)
    publish(Publisher(writer.connection, folder))
    assert cells(folder) == recount([payment(1), payment(2)], [])
    assert parquet(folder) == written, "files that are whole are not written again"


def test_a_worker_that_ends_writes_no_further_file_and_the_next_one_does(writer: Writer, folder: Path):
    publisher = Publisher(writer.connection, folder)
    publish(publisher)
    write(writer, payment(1))
    publisher.ending = True
    with pytest.raises(PublishingEndedError):
        publish(publisher)
    assert cells(folder) == {}
    publish(Publisher(writer.connection, folder))
    assert cells(folder) == recount([payment(1)], [])


def test_a_manifest_is_never_half_written(writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch):
    write(writer, payment(1))
    publisher = Publisher(writer.connection, folder)
    publish(publisher)
    whole = (folder / "manifest.json").read_bytes()
    seen = []

    def look(path: Path) -> None:
        if path.suffix == ".part" and path.parent == folder:
            seen.append((json.loads(path.read_bytes())["sequence"], (folder / "manifest.json").read_bytes()))

    monkeypatch.setattr(publishing, "_synced", look)
    publish(publisher)
    # The new one is whole and on disk under another name while readers still see the old one.
    assert seen == [(2, whole)]
    assert Manifest.read(folder).sequence == 2
    assert not list(folder.glob("*.part"))


def test_what_a_crash_left_half_written_is_cleared(writer: Writer, folder: Path):
    write(writer, payment(1))
    publish(Publisher(writer.connection, folder))
    write(writer, payment(2))
    half = folder / "market_minute" / "2025-03-01T03Z.v2.part"
    half.write_bytes(b"PAR1")
    (folder / "manifest.part").write_bytes(b'{"format"')
    again = Publisher(writer.connection, folder)
    assert not half.exists()
    publish(again)
    assert cells(folder) == recount([payment(1), payment(2)], [])
    assert not list(folder.glob("**/*.part"))


def test_old_versions_stay_as_long_as_readers_may_hold_them_and_then_go(writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch):
    clock = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    publisher = Publisher(writer.connection, folder)
    write(writer, payment(1))
    publish(publisher)
    old = set(parquet(folder))
    reader = open_snapshot(folder)
    write(writer, payment(2))
    publish(publisher)
    clock[0] += KEEP_SECONDS
    publish(publisher)
    with reader:
        assert published_cells(reader) == recount([payment(1)], [])
    assert old <= set(parquet(folder))
    clock[0] += 1
    manifest = publish(publisher)
    assert set(parquet(folder)) == {path for files in manifest["files"].values() for path in files}
    assert cells(folder) == recount([payment(1), payment(2)], [])


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), duckdb.IOException("IO Error: No space left on device")])
def test_old_versions_that_fill_the_disk_go_although_nothing_new_can_be_published(
    writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    clock = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    publisher = Publisher(writer.connection, folder)
    write(writer, payment(1))
    publish(publisher)
    old = set(parquet(folder))
    write(writer, payment(2))
    named = {path for files in publish(publisher)["files"].values() for path in files}
    write(writer, payment(3))

    def full(path: Path) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(publishing, "_synced", full)
        with pytest.raises(type(error), match="No space left"):
            publish(publisher)
        assert set(parquet(folder)) == old | named, "a reader may still hold the old ones"
        assert not list(folder.glob("**/*.part"))
        clock[0] += KEEP_SECONDS + 1
        with pytest.raises(type(error), match="No space left"):
            publish(publisher)
    assert set(parquet(folder)) == named
    assert cells(folder) == recount([payment(1), payment(2)], [])
    publish(publisher)
    assert cells(folder) == recount([payment(1), payment(2), payment(3)], [])


@pytest.mark.parametrize("damage", ["removed", "cut"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_published_file_that_was_removed_or_cut_is_written_again(writer: Writer, folder: Path, damage: str, *, restarted: bool):
    write(writer, payment(1))
    publisher = Publisher(writer.connection, folder)
    file = folder / publish(publisher)["files"]["market_minute"][0]
    others = {path: written for path, written in parquet(folder).items() if folder / path != file}
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:100])
    publish(Publisher(writer.connection, folder) if restarted else publisher)
    assert cells(folder) == recount([payment(1)], [])
    assert others.items() <= parquet(folder).items(), "what is whole is left alone"


def test_a_cut_file_that_no_manifest_names_is_removed_at_the_next_start(writer: Writer, folder: Path):
    write(writer, payment(1))
    publish(Publisher(writer.connection, folder))
    cut = folder / "market_minute" / "2025-02-01.v1.parquet"
    for left in (b"", b"PAR1PAR1", b"PAR1 cut off", b"PAR1"):
        cut.write_bytes(left)
        Publisher(writer.connection, folder)
        assert not cut.exists()


def test_a_restart_forgets_no_old_version(writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch):
    clock = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    write(writer, payment(1))
    publish(Publisher(writer.connection, folder))
    write(writer, payment(2))
    again = Publisher(writer.connection, folder)
    publish(again)
    clock[0] += KEEP_SECONDS + 1
    manifest = publish(again)
    assert set(parquet(folder)) == {path for files in manifest["files"].values() for path in files}


def test_an_empty_warehouse_is_readable(writer: Writer, folder: Path):
    publish(Publisher(writer.connection, folder))
    with open_snapshot(folder) as snapshot:
        assert published_cells(snapshot) == {}
        assert snapshot.query("grand_totals")["approved_amount"].item() == 0
        assert snapshot.query("incidents_newest_first").is_empty()
        assert snapshot.manifest.watermark is None
        assert snapshot.manifest.lag is None


def test_a_reader_leaves_nothing_behind_in_the_database_that_all_share(writer: Writer, folder: Path):
    publish(Publisher(writer.connection, folder))
    with open_snapshot(folder) as other:
        with open_snapshot(folder) as snapshot:
            name = snapshot.schema
            assert name in schemas(other) and name != other.schema
        assert name not in schemas(other)
        assert other.query("grand_totals")["approved_amount"].item() == 0


def schemas(snapshot: Snapshot) -> list[str]:
    return [name for (name,) in snapshot.connection.execute("SELECT schema_name FROM duckdb_schemas()").fetchall()]


def test_before_anything_is_published_a_reader_is_told_what_to_start(folder: Path):
    with pytest.raises(NothingPublishedError, match=r"Start a worker first: onnuri worker"):
        open_snapshot(folder)


def test_lag_is_what_lies_behind_the_reader_s_position(writer: Writer, folder: Path):
    write(writer, payment(1), payment(2))
    publisher = Publisher(writer.connection, folder)
    assert publish(publisher, {("payments", 0): 10})["lag"] == 8
    # Markers of transactions lie between the last record and the position.
    assert publisher.publish(NOON, NOON, {("payments", 0): 10}, {("payments", 0): 10})["lag"] == 0
    assert publisher.publish(NOON, NOON, {}, {})["lag"] is None
    # Nobody knows how far it is to the end of one that is read.
    assert publisher.publish(NOON, NOON, {("payments", 0): 10, ("payments", 1): None}, {})["lag"] == 8
    writer.apply([chunk("payments", [payment(3)], partition=1)], NOON, lambda _: None)
    assert publisher.publish(NOON, NOON, {("payments", 0): 10, ("payments", 1): None}, {})["lag"] is None
    # One that was read once, as a scenario's clock, says nothing of the present.
    assert publisher.publish(NOON, NOON, {("payments", 0): 10}, {})["lag"] == 8


def test_who_led_before_does_not_put_another_s_unfinished_file_in_place(writer: Writer, folder: Path, monkeypatch: pytest.MonkeyPatch):
    write(writer, payment(1))
    before, after = Publisher(writer.connection, folder), Publisher(writer.connection, folder)
    other = {}

    def amid(part: Path) -> None:
        # The one that leads by now has begun the same file and dies.
        if part.parent != folder:
            other[part] = part.with_suffix("").with_suffix(after.suffix)
            other[part].write_bytes(b"PAR1")

    monkeypatch.setattr(publishing, "_synced", amid)
    publish(before)
    assert other
    assert cells(folder) == recount([payment(1)], [])
    Publisher(writer.connection, folder)
    assert not list(folder.glob("**/*.part"))


def test_the_manifest_says_what_was_counted_refused_and_lost(writer: Writer, folder: Path):
    writer.apply([chunk("payments", [payment(1), payment(1), b"?"])], NOON, lambda _: None)
    writer.move_source("payments", 0, 8, None, "gone before they were read", NOON)
    manifest = publish(Publisher(writer.connection, folder))
    assert manifest["totals"] == {"accepted": 1, "duplicate": 1, "late": 0, "refused": 1, "lost": 5}
    assert manifest["refusals"] == {"malformed": 1}
    assert [(r["from_offset"], r["to_offset"], r["found_at"]) for r in manifest["lost_ranges"]] == [(3, 8, NOON.isoformat())]
    for at in range(9, 112):
        writer.move_source("payments", 0, at, None, "gone before they were read", NOON)
    manifest = publish(Publisher(writer.connection, folder))
    # An alert goes by the count, which must rise with each.
    assert (len(manifest["lost_ranges"]), manifest["lost_range_count"]) == (100, 104)


def test_times_of_a_manifest_are_aware(writer: Writer, folder: Path):
    publish(Publisher(writer.connection, folder))
    manifest = Manifest.read(folder)
    assert [moment.utcoffset() for moment in (manifest.published_at, manifest.now)] == [timedelta(0)] * 2
    assert manifest.now == manifest.published_at == NOON
    assert manifest.age(NOON + HOUR) == HOUR


def test_the_nation_s_minutes_are_published_by_themselves_and_whole_days_by_market(writer: Writer, folder: Path):
    events = [payment(n, market_id=f"m{n % 7}", channel="card" if n % 2 else "mobile", occurred_at=ms(NOON - n * HOUR)) for n in range(1, 120)]
    write(writer, *events)
    manifest = publish(Publisher(writer.connection, folder))
    with open_snapshot(folder) as snapshot:
        summed = snapshot.sql("SELECT minute_at, channel, sum(approved_amount)::BIGINT AS krw FROM market_minute GROUP BY ALL ORDER BY ALL")
        assert snapshot.sql("SELECT minute_at, channel, approved_amount AS krw FROM nation_minute ORDER BY ALL").equals(summed)
        span = {"start": NOON - 200 * HOUR, "end": NOON, "minutes": 60, "scope": "nation", "scope_name": ""}
        nation = snapshot.query("sales_by_step", **span)
        markets = [snapshot.query("sales_by_step", **{**span, "scope": "market", "scope_name": f"m{n}"}) for n in range(7)]
        card = snapshot.query("sales_by_step", **{**span, "scope": "channel", "scope_name": "card"})
    assert nation["sales"].sum() == sum(found["sales"].sum() for found in markets) == 119 * 25_000
    assert card["sales"].sum() == 60 * 25_000
    (day,) = [path for path in manifest["files"]["market_minute"] if "2025-02-25.v" in path]
    assert pl.read_parquet(folder / day)["market_id"].is_sorted()
