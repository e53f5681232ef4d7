"""The same warehouse on each store: a DuckDB file, a lake whose catalog is SQLite, a lake whose catalog is PostgreSQL."""

import gc
import itertools
import random
import threading
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import psutil
import pytest

from tests.events_data import NOON, chunk, failure, ms, payment
from tests.lakes import STORES, make_lake
from tests.test_ingest import command, history, ignore
from warehouse.closing import Closing
from warehouse.ingest import Chunk, Writer
from warehouse.lake import Lake, open_lake
from warehouse.lake_errors import ConflictError, NotLeadingError, conflicts
from warehouse.lake_writer import LakeWriter
from warehouse.publishing import Publisher
from warehouse.reading import open_snapshot
from warehouse.settling import SUMMED, settle, turn

TABLES = (
    "market_minute",
    "issuer_minute",
    "service_minute",
    "load_minute",
    "merchant_day",
    "failed_purchase",
    "unknown_name",
    "payment",
    "failure",
    "failed_purchase_payment",
    "source_offset",
    "market",
    "nation_minute",
    "incident",
    "rejected",
    "lost_range",
    "command",
)
"""What must be the same on every store, whatever was done to it."""


@dataclass
class Store:
    """A store of a test's own and the writers on it."""

    folder: Path
    lake: Lake | None

    def open(self) -> Writer:
        """Another worker's writer; on a file the only one."""
        return LakeWriter(self.lake, NOON) if self.lake else Writer(self.folder / "w.duckdb", NOON)


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path, make_lake(request, tmp_path))


@pytest.fixture(params=STORES[1:])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path, make_lake(request, tmp_path))


def begin(writer: Writer, *keys: tuple[str, int]) -> None:
    """Take these partitions over, as a worker does after an assignment."""
    while True:
        try:
            for topic, partition in keys:
                writer.begin_source(topic, partition, 0, None)
            known = writer.sources()
            writer.hold({key: known[key].next_offset for key in keys})
        except duckdb.Error as error:
            # SQLite's catalog is locked for a moment when the last connection to it goes; the line tries again in the same way.
            if not conflicts(error):
                raise
            writer.failed(error)
            if writer.worn:
                writer.reopen()
        else:
            return


def write(writer: Writer, *chunks: Chunk) -> None:
    writer.apply(chunks, NOON, ignore)


def rows(writer: Writer, sql: str) -> list[tuple[Any, ...]]:
    while True:
        try:
            return writer.connection.execute(sql).fetchall()
        except duckdb.Error as error:
            # As in ``begin``.
            if not conflicts(error):
                raise


def contents(writer: Writer) -> dict[str, Counter[tuple[Any, ...]]]:
    """Every row of every table, in no order, columns by name."""
    found = {}
    for table in TABLES:
        columns = sorted(name for (name, *_) in rows(writer, f"DESCRIBE {table}"))
        found[table] = Counter(rows(writer, f"SELECT {', '.join(columns)} FROM {table}"))
    return found


ALL = [(topic, partition) for topic in ("payments", "errors") for partition in (0, 1)] + [("commands", 0), ("service_load", 0)]


def batches(seed: int, size: int = 60) -> list[list[Chunk]]:
    """A history with failures, recoveries and reversals in any order, a third of it repeated, over two partitions, with refusals, commands and load."""
    payments, failures = history(seed, size)
    chance = random.Random(seed)
    arrivals = [("payments", p) for p in payments] + [("errors", f) for f in failures]
    arrivals += chance.sample(arrivals, len(arrivals) // 3)
    chance.shuffle(arrivals)
    market = {"market_id": "m0001", "name": "시장", "region": "서울"}
    offsets = Counter[tuple[str, int]]()
    made = []
    for number, some in enumerate(arrivals[i::5] for i in range(5)):
        batch = []
        for topic, partition in ALL[:4]:
            # An id has the same key, hence the same partition, whenever it comes.
            events: list[Any] = [e for name, e in some if name == topic and sum(map(ord, e.get("purchase_id", e["event_id"]))) % 2 == partition]
            events += [b"{"] * (number == 2)
            if events:
                batch.append(chunk(topic, events, first_offset=offsets[topic, partition], partition=partition))
                offsets[topic, partition] += len(events)
        if number in (1, 3):
            batch.append(
                chunk(
                    "commands", [command("markets_imported", {"markets": [market | {"name": f"시장 {number}"}]}, number)], first_offset=offsets["commands", 0]
                )
            )
            report = {"occurred_at": ms(NOON), "service": "payment", "attempts": number, "succeeded": 1, "failed": 0, "abandoned": 0}
            batch.append(chunk("service_load", [report, report], first_offset=offsets["service_load", 0]))
            offsets["commands", 0] += 1
            offsets["service_load", 0] += 2
        made.append(batch)
    return made


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_table_holds_what_the_file_holds(store: Store, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    written = batches(seed)
    on_file = Writer(tmp_path_factory.mktemp("file") / "w.duckdb", NOON)
    begin(on_file, *ALL)
    writer = store.open()
    begin(writer, *ALL)
    for number, batch in enumerate(written):
        write(on_file, *batch)
        write(writer, *batch)
        if number == 2:
            # A restart loses nothing and repeats nothing.
            writer.close()
            writer = store.open()
            begin(writer, *ALL)
        assert contents(writer) == contents(on_file)
    assert len(rows(writer, "FROM failed_purchase")) > 3 and sum(rows(writer, "SELECT sum(duplicate) FROM source_offset")[0]) > 10
    writer.close()
    on_file.close()


def outage(writer: Writer) -> None:
    """An hour of sales and then half an hour in which most attempts fail."""
    events, errors = [], []
    for minute in range(90):
        at = ms(NOON) - 5_400_000 + minute * 60_000
        for n in range(20):
            number = minute * 100 + n
            if minute >= 60 and n > 2:
                errors.append(failure(number, occurred_at=at + n))
            else:
                events.append(payment(number, occurred_at=at + n))
    write(writer, chunk("payments", events), chunk("errors", errors))


def test_detection_and_publishing_say_the_same_on_every_store(store: Store, tmp_path: Path) -> None:
    writer = store.open()
    begin(writer, *ALL)
    if isinstance(writer, LakeWriter):
        writer.lead()
    outage(writer)
    closing = Closing(writer, timedelta(0), 35)
    closing.close(NOON.replace(tzinfo=None))
    assert writer.line().watermark == writer.line().detected_through == NOON.replace(tzinfo=None)
    ((kind, onset),) = rows(writer, "SELECT kind, onset_at FROM incident")
    assert (kind, onset) == ("failure_rate", (NOON - timedelta(minutes=30)).replace(tzinfo=None))
    assert rows(writer, "SELECT count(*) FROM incident_message") != [(0,)]
    publisher = Publisher(writer.connection, tmp_path / "published")
    first = publisher.publish(NOON, NOON, {}, {})
    with open_snapshot(tmp_path / "published") as snapshot:
        for table in ("market_minute", "nation_minute", "failed_purchase", "incident"):
            assert Counter(snapshot.connection.execute(f"FROM {table}").fetchall()) == Counter(rows(writer, f"FROM {table}"))
    write(writer, chunk("payments", [payment(999_999)], first_offset=writer.sources()["payments", 0].next_offset))
    second = publisher.publish(NOON, NOON, {}, {})
    # One hour's files are written anew, and no others.
    changed = set(second["files"]["market_minute"]) - set(first["files"]["market_minute"])
    assert len(changed) == 1
    writer.close()


def test_a_backlog_on_a_lake_is_closed_piece_by_piece(lake: Store) -> None:
    writer = lake.open()
    assert isinstance(writer, LakeWriter)
    writer.lead()
    begin(writer, *ALL)
    write(writer, chunk("payments", [payment(1, occurred_at=ms(NOON) - 10 * 3_600_000), payment(2)]))
    closing, marks = Closing(writer, timedelta(0), 35), []
    while closing.watermark != NOON.replace(tzinfo=None):
        closing.close(NOON.replace(tzinfo=None))
        marks.append(writer.line().watermark)
    assert [(NOON.replace(tzinfo=None) - mark) / timedelta(hours=1) for mark in marks] == [4, 0]
    writer.close()


def test_old_events_go_and_what_they_were_counted_into_stays(store: Store) -> None:
    writer = store.open()
    begin(writer, *ALL)
    if isinstance(writer, LakeWriter):
        writer.lead()
    write(writer, chunk("payments", [payment(1), payment(2, occurred_at=ms(NOON) + 40 * 86_400_000)], now=NOON + timedelta(days=41)))
    closing = Closing(writer, timedelta(0), 35)
    later = NOON + timedelta(days=40)
    closing.retire(later.replace(tzinfo=None), later)
    assert rows(writer, "SELECT count(*) FROM payment") == [(1,)]
    assert rows(writer, "SELECT sum(approved) FROM market_minute") == [(2,)]
    writer.close()


def test_a_purchase_that_fails_once_more_after_its_events_are_gone_is_another_row_beside_the_first(store: Store) -> None:
    writer = store.open()
    begin(writer, *ALL)
    if isinstance(writer, LakeWriter):
        writer.lead()
    later, without_id = NOON + timedelta(days=40), {"purchase_id": None, "user_id": "somebody"}
    # As long ago as the first, a buyer's without an id.
    write(writer, chunk("errors", [failure(1), failure(2, **without_id)]))
    first, other = sorted(rows(writer, "SELECT purchase_id, first_failure_at, failures FROM failed_purchase"), key=lambda row: row[0] is None)
    Closing(writer, timedelta(0), 35).retire(later.replace(tzinfo=None), later)
    for number, minutes in enumerate((0, 5), 1):
        again = failure(1, event_id=f"again {number}", attempt=number + 1, occurred_at=ms(later) + minutes * 60_000)
        write(writer, chunk("errors", [again], now=later + timedelta(hours=1), first_offset=number + 1))
        second = (first[0], later.replace(tzinfo=None), number)
        assert Counter(rows(writer, "SELECT purchase_id, first_failure_at, failures FROM failed_purchase")) == Counter([first, second, other])
    writer.close()


def test_the_newest_key_is_the_last_one_that_was_agreed_to_whatever_the_clock_says_and_others_see_it(store: Store) -> None:
    writer = store.open()
    assert writer.user_keys() == []
    for name, when in (("first", NOON), ("second", NOON - timedelta(days=400)), ("third", NOON - timedelta(days=500))):
        writer.use_key(name, when)
    if store.lake:
        # A worker that begins beside it sees the same.
        other = store.open()
        assert other.user_keys()[-1] == "third"
        other.close()
    assert writer.user_keys() == ["first", "second", "third"]
    writer.close()


def test_what_was_said_is_withdrawn_on_every_store(store: Store) -> None:
    writer = store.open()
    begin(writer, ("commands", 0))
    span = {"label": "훈련", "starts_at": "2025-03-01T10:00+09:00", "ends_at": "2025-03-01T11:00+09:00"}
    said = [("span_excluded", span), ("span_excluded", span), ("withdrawn", {"said": "span_excluded", "words": span})]
    writer.apply([chunk("commands", [command(*one, number) for number, one in enumerate(said)])], NOON, ignore)
    assert writer.connection.execute("SELECT label FROM exclusion").fetchall() == [("훈련",)]
    writer.close()


def test_what_is_added_up_is_what_the_views_said_before(lake: Store) -> None:
    writer = lake.open()
    assert isinstance(writer, LakeWriter)
    begin(writer, *ALL)
    writer.lead()
    for number, batch in enumerate(batches(4)):
        write(writer, *batch)
        before, versions = contents(writer), rows(writer, "FROM hour_version ORDER BY ALL")
        part = turn(writer)
        assert part == number % 2
        assert settle(writer, part) > 0
        assert settle(writer, part) == 0
        assert contents(writer) == before and rows(writer, "FROM hour_version ORDER BY ALL") == versions
    for table in SUMMED:
        assert rows(writer, f"SELECT count(*) FROM fresh_0.{table} UNION ALL SELECT count(*) FROM fresh_1.{table}") == [(0,), (0,)]
        assert rows(writer, f"SELECT count(*) FROM settled.{table}") == rows(writer, f"SELECT count(*) FROM {table}")
    writer.close()


def test_two_workers_write_their_partitions_and_never_each_other_s(lake: Store) -> None:
    first, second = lake.open(), lake.open()
    begin(first, ("payments", 0), ("errors", 0))
    begin(second, ("payments", 1), ("errors", 1))
    tries = []

    def meanwhile(letters: list[Any]) -> None:
        # What one commits amid the other's transaction is no conflict: other numbers of partitions, and the same minute.
        tries.append(letters)
        if len(tries) == 1:
            write(first, chunk("payments", [payment(1)]))

    second.apply([chunk("payments", [payment(2), b"{"], partition=1), chunk("errors", [failure(3)], partition=1)], NOON, meanwhile)
    # SQLite knows one writer at a time, so there it is tried again.
    assert lake.lake is not None and len(tries) == (1 if lake.lake.postgres else 2)
    assert rows(first, "SELECT sum(approved), sum(failed) FROM market_minute") == [(2, 1)]
    with pytest.raises(ConflictError, match="not held"):
        write(first, chunk("payments", [payment(4)], first_offset=1, partition=1))
    first.close()
    second.close()


@pytest.mark.parametrize("topic", ["payments", "errors"])
def test_a_worker_that_lost_its_partition_writes_nothing_and_its_successor_everything_once(lake: Store, topic: str) -> None:
    frozen, successor = lake.open(), lake.open()
    begin(frozen, ("payments", 0), ("errors", 0))
    write(frozen, chunk("payments", [payment(1)]))
    begin(successor, ("payments", 0), ("errors", 0))
    # It goes on with one topic, and the frozen one with the other: what a failure counts depends on both, so that conflicts too.
    write(successor, chunk(topic, [payment(2) if topic == "payments" else failure(2)], first_offset=int(topic == "payments")))
    before = contents(successor)
    for name, events in (("payments", [payment(2), payment(3)]), ("errors", [failure(4)])):
        with pytest.raises(ConflictError):
            write(frozen, chunk(name, events, first_offset=int(name == "payments")))
    assert contents(successor) == before
    # What it takes back later it reads from where the other came to, and it knows what that wrote.
    begin(frozen, ("payments", 0), ("errors", 0))
    write(frozen, chunk("payments", [payment(1), payment(2), payment(3)], first_offset=frozen.sources()["payments", 0].next_offset))
    assert rows(frozen, "SELECT count(*), count(DISTINCT event_id) FROM payment") == [(3, 3)]
    frozen.close()
    successor.close()


def test_a_commit_that_came_after_another_s_is_refused(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, successor = lake.open(), lake.open()
    begin(frozen, ("payments", 0), ("errors", 0))
    begin(successor, ("payments", 0), ("errors", 0))

    def freeze(letters: list[Any]) -> None:
        # Everything is written but the commit.
        if successor.sources()["payments", 0].next_offset == 0:
            write(successor, chunk("payments", [payment(1)]))

    with pytest.raises(ConflictError):
        frozen.apply([chunk("payments", [payment(1), b"{"])], NOON, freeze)
    assert rows(successor, "SELECT sum(approved) FROM market_minute") == [(1,)]
    assert rows(successor, "SELECT count(*) FROM rejected") == [(0,)]
    frozen.close()
    successor.close()


def test_a_batch_that_is_tried_again_is_not_kept(lake: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = lake.open()
    begin(worker, ("payments", 0), ("errors", 0))
    batch, apply, tries = chunk("payments", [payment(1)]), Writer.apply, itertools.count(1)

    def refused_at_first(writer: Writer, chunks: list[Chunk], *given: Any) -> None:  # as apply
        if next(tries) == 1:
            raise duckdb.TransactionException("Transaction conflict")
        apply(writer, chunks, *given)

    held = weakref.ref(batch)
    # In a worker cycles are looked for so rarely that what is in one is kept for good.
    gc.disable()
    try:
        monkeypatch.setattr(Writer, "apply", refused_at_first)
        worker.apply([batch], NOON, ignore)
        del batch
        assert next(tries) == 3 and held() is None
    finally:
        gc.enable()
    assert rows(worker, "SELECT sum(approved) FROM market_minute") == [(1,)]
    worker.close()


def test_a_refused_commit_leaves_no_database_behind(lake: Store) -> None:
    assert lake.lake
    if not lake.lake.postgres:
        pytest.skip("SQLite refuses a second writer before its commit")
    lake.open().close()
    threads = []
    for _ in range(4):
        slow, fast = open_lake(lake.lake), open_lake(lake.lake)
        for connection in (slow, fast):
            connection.begin()
            connection.execute("UPDATE leader SET turn = turn + 1")
        fast.commit()
        with pytest.raises(duckdb.Error, match="conflict"):
            slow.commit()
        slow.close()
        fast.close()
        threads.append(psutil.Process().num_threads())
    assert threads[0] == threads[-1], "each database has threads of its own"


def leader_and_worker(lake: Store) -> tuple[LakeWriter, Writer]:
    """Two writers with a partition each, one of which leads and has written a payment."""
    leader, worker = lake.open(), lake.open()
    assert isinstance(leader, LakeWriter)
    leader.lead()
    begin(leader, ("payments", 0), ("errors", 0))
    begin(worker, ("payments", 1), ("errors", 1))
    write(leader, chunk("payments", [payment(1)]))
    return leader, worker


def test_what_is_appended_while_it_is_added_up_is_counted_once(lake: Store) -> None:
    leader, worker = leader_and_worker(lake)
    seen = []

    def meanwhile(letters: list[Any]) -> None:
        # The worker has appended to the part that was open when it began.
        if not seen:
            seen.append(turn(leader))
            settle(leader, seen[0])

    worker.apply([chunk("payments", [payment(2), b"{"], partition=1)], NOON, meanwhile)
    assert seen == [0]
    assert rows(leader, "SELECT sum(approved) FROM market_minute") == [(2,)]
    assert rows(leader, "SELECT sum(approved) FROM fresh_1.market_minute") == [(1,)]
    leader.close()
    worker.close()


def test_one_leads_and_whoever_led_before_is_refused(lake: Store) -> None:
    old, new = lake.open(), lake.open()
    assert isinstance(old, LakeWriter) and isinstance(new, LakeWriter)
    old.lead()
    closing = Closing(old, timedelta(0), 35)
    new.lead()
    with pytest.raises(NotLeadingError):
        closing.close(NOON.replace(tzinfo=None))
    with pytest.raises(NotLeadingError):
        turn(old)
    assert new.line().watermark is None
    frozen = new.leading()
    frozen.__enter__()
    new.connection.execute("UPDATE line SET watermark = now()::TIMESTAMP")
    old.lead()
    with pytest.raises(duckdb.Error) as refused:
        frozen.__exit__(None)
    assert conflicts(refused.value) and new.line().watermark is None
    old.close()
    new.close()


def test_workers_that_begin_at_once_make_one_lake(lake: Store) -> None:
    with ThreadPoolExecutor(3) as threads:
        writers = list(threads.map(lambda _: lake.open(), range(3)))
        list(threads.map(lambda writer: writer.begin_source("payments", 5, 7, "topic"), writers))
    assert rows(writers[0], "SELECT count(*) FROM line") == [(1,)]
    assert rows(writers[0], "SELECT topic, partition, next_offset FROM source_offset") == [("payments", 5, 7)]
    for writer in writers:
        writer.close()


def test_old_events_go_although_others_append_all_the_time(lake: Store) -> None:
    leader, worker = leader_and_worker(lake)
    later = NOON + timedelta(days=40)
    closing = Closing(leader, timedelta(0), 35)
    ending = threading.Event()

    def append() -> int:
        for number in itertools.count():
            worker.apply([chunk("payments", [payment(number + 10, occurred_at=ms(later))], first_offset=number, partition=1, now=later)], later, ignore)
            if ending.is_set():
                return number + 1
        raise AssertionError

    with ThreadPoolExecutor(1) as thread:
        appended = thread.submit(append)
        try:
            closing.retire(later.replace(tzinfo=None), later)
        finally:
            ending.set()
        count = appended.result()
    assert rows(leader, "SELECT count(*), min(occurred_at) FROM payment") == [(count, later.replace(tzinfo=None))]
    assert rows(leader, "SELECT sum(approved) FROM market_minute") == [(count + 1,)]
    assert rows(leader, "FROM pause") == [(False,)]
    leader.close()
    worker.close()


def test_a_pause_that_nobody_ends_is_ended_by_the_next_leader(lake: Store) -> None:
    gone, new = lake.open(), lake.open()
    assert isinstance(gone, LakeWriter) and isinstance(new, LakeWriter)
    gone.lead()
    gone._ask_for_pause(asked=True)
    new.lead()
    assert rows(new, "FROM pause") == [(False,)]
    gone.close()
    new.close()


def test_what_was_never_counted_is_told_from_what_was(store: Store) -> None:
    writer = store.open()
    begin(writer, *ALL[:4])
    write(writer, chunk("payments", [payment(1), b"{", payment(2)]), chunk("errors", [failure(1)]))
    # The second comes with another time, the third where something was refused.
    again = chunk("payments", [payment(1), payment(3), payment(2, occurred_at=ms(NOON) - 60_000), payment(4)])
    assert writer.uncounted(again) == [3]
    assert writer.uncounted(chunk("payments", [b"{"])) == []
    assert writer.uncounted(chunk("errors", [failure(2), failure(1)])) == [0]
    writer.connection.execute("UPDATE line SET retained_from = ?", [NOON.replace(tzinfo=None) + timedelta(seconds=1)])
    assert writer.uncounted(again) == []
    writer.close()
