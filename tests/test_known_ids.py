"""Duplicates are found wherever and whenever, and by looking only where a filter cannot say no."""

import re
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pytest

from tests.events_data import NOON, chunk, failure, ms, payment
from warehouse import known_ids
from warehouse.bloom import BloomFilter, Places
from warehouse.ingest import Writer
from warehouse.known_ids import KnownIds, Segment

MINUTE = 60_000
DAY = 86_400_000
SMAPS = Path("/proc/self/smaps")


@pytest.fixture
def writer(tmp_path: Path) -> Iterable[Writer]:
    made = Writer(tmp_path / "w.duckdb", NOON)
    yield made
    made.close()


def write(writer: Writer, topic: str, *events: object) -> None:
    source = writer.sources().get((topic, 0))
    writer.apply([chunk(topic, events, first_offset=source.next_offset if source else 0)], NOON, lambda _: None)


def counted(writer: Writer) -> tuple[int, ...]:
    (row,) = writer.connection.execute("SELECT coalesce(sum(approved), 0), coalesce(sum(failed), 0) FROM market_minute").fetchall()
    return tuple(row)


def test_a_filter_never_misses_what_was_added_and_seldom_takes_another_for_known() -> None:
    chance = np.random.default_rng(5)
    kept, others = chance.integers(0, 2**64, (2, 400_000), np.uint64)
    made = BloomFilter(len(kept))
    places = Places(kept, len(made.words))
    assert not len(made.among(places))
    for part in np.split(kept, 8):
        assert not made.full
        made.add(Places(part, len(made.words)))
    assert made.full
    assert made.among(places).tolist() == list(range(len(kept)))
    assert len(made.among(Places(others, len(made.words)))) <= 2


@pytest.mark.skipif(not SMAPS.exists(), reason="this system does not say which of a process's memory is of which file")
def test_a_filter_that_was_moved_says_the_same_and_takes_no_memory(tmp_path: Path) -> None:
    chance = np.random.default_rng(5)
    made = BloomFilter(400_000)
    kept, others = (Places(chance.integers(0, 2**64, 400_000, np.uint64), len(made.words)) for _ in range(2))
    made.add(kept)
    before = [made.among(places).tolist() for places in (kept, others)]
    made.move(tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(made.words[made.words > 0]) > 150_000
    assert _resident_kb(tmp_path) > 1_500
    assert [made.among(places).tolist() for places in (kept, others)] == before
    assert _resident_kb(tmp_path) == 0
    with pytest.raises(ValueError, match="read-only"):
        made.add(others)


def _resident_kb(folder: Path) -> int:
    """Of the files in ``folder``, with or without a name, so much is in this process's memory."""
    found = re.findall(rf"{re.escape(str(folder))}.*\n(?:.*kB\n)*?Rss: +(\d+) kB", SMAPS.read_text())
    assert found
    return sum(map(int, found))


@pytest.mark.parametrize("later", [0, 30 * DAY], ids=["the same time", "another month"])
def test_an_id_counts_once_whatever_time_it_comes_with_also_after_a_restart(tmp_path: Path, later: int) -> None:
    first = Writer(tmp_path / "w.duckdb", NOON)
    write(first, "payments", payment(1, occurred_at=ms(NOON) - 30 * DAY), payment(2))
    write(first, "payments", payment(1, occurred_at=ms(NOON) - 30 * DAY + later), payment(3))
    assert counted(first) == (3, 0)
    first.close()
    second = Writer(tmp_path / "w.duckdb", NOON)
    write(second, "payments", payment(1, occurred_at=ms(NOON) - 30 * DAY + later), payment(3), payment(4))
    write(second, "errors", failure(7), failure(7, occurred_at=ms(NOON) - later))
    write(second, "errors", failure(7, occurred_at=ms(NOON) - later))
    assert counted(second) == (4, 1)
    second.close()


def test_when_a_filter_is_full_the_next_is_begun_and_nothing_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_ids, "CAPACITY", 10)
    writer = Writer(tmp_path / "w.duckdb", NOON)
    for number in range(0, 60, 6):
        write(writer, "payments", *(payment(n, occurred_at=ms(NOON) - n * MINUTE) for n in range(max(number - 20, 0), number + 6)))
    assert counted(writer) == (60, 0)
    spans = [(segment.low, segment.high) for segment in writer.known["payment"].segments]
    assert len(spans) > 4
    assert len(set(spans)) == len(spans)
    assert [segment.filter.mapped is None for segment in writer.known["payment"].segments] == [False] * (len(spans) - 1) + [True]
    writer.close()
    # And so it is with filters that are made from the table.
    writer = Writer(tmp_path / "w.duckdb", NOON)
    writer.known["payment"].making.result()
    write(writer, "payments", payment(60), payment(3, occurred_at=ms(NOON) - 59 * MINUTE), payment(4))
    assert counted(writer) == (61, 0)
    writer.close()


def test_where_there_is_no_room_for_a_full_filter_it_stays_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(known_ids, "CAPACITY", 10)
    writer = Writer(tmp_path / "w.duckdb", NOON)
    writer.known["payment"].folder = tmp_path / "gone"
    for number in range(0, 60, 6):
        write(writer, "payments", *(payment(n) for n in range(max(number - 20, 0), number + 6)))
    assert counted(writer) == (60, 0)
    kept = [segment.filter.mapped for segment in writer.known["payment"].segments]
    assert len(kept) > 4
    assert set(kept) == {None}
    assert "A filter of payment.event_id stays in memory: FileNotFoundError" in caplog.text
    writer.close()


def test_a_filter_of_which_nothing_is_kept_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_ids, "CAPACITY", 10)
    writer = Writer(tmp_path / "w.duckdb", NOON)
    for day in range(8):
        write(writer, "payments", *(payment(day * 100 + n, occurred_at=ms(NOON) - (8 - day) * DAY) for n in range(12)))
        writer.connection.execute("DELETE FROM payment WHERE occurred_at < ?", [(NOON - (10 - day) * timedelta(days=1)).replace(tzinfo=None)])
    # When the last was begun, four days were kept.
    assert [segment.high.day for segment in writer.known["payment"].segments] == [25, 26, 27, 28]
    # What is kept is known all the same.
    write(writer, "payments", payment(703, occurred_at=ms(NOON) - DAY), payment(900, occurred_at=ms(NOON) - DAY))
    assert writer.connection.execute("SELECT count(*) FROM payment WHERE occurred_at >= ?", [(NOON - timedelta(days=1)).replace(tzinfo=None)]).fetchall() == [
        (13,)
    ]
    writer.close()


def test_an_approval_from_days_before_the_first_failure_of_its_purchase_takes_the_failure_back(writer: Writer) -> None:
    write(writer, "payments", payment(1), *(payment(n) for n in range(10, 20)))
    writer.close()
    writer.__init__(writer.path, NOON)  # type: ignore[misc]
    write(writer, "errors", failure(1, occurred_at=ms(NOON) - DAY), failure(2))
    assert counted(writer) == (11, 1)
    # A second failure finds the same payment, and no second copy of it.
    write(writer, "errors", failure(1, event_id="again", attempt=2, occurred_at=ms(NOON) - MINUTE))
    assert writer.connection.execute("SELECT failures, recovered_amount FROM failed_purchase ORDER BY recovered_amount NULLS LAST").fetchall() == [
        (1, 25_000),
        (1, None),
    ]


def test_until_the_filter_is_made_anew_after_a_start_every_id_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "w.duckdb", NOON)
    write(writer, "payments", *(payment(n) for n in range(1, 9)))
    writer.close()
    go, make = threading.Event(), KnownIds._on_maker

    def held(self: KnownIds, cursor: duckdb.DuckDBPyConnection) -> list[Segment]:
        go.wait(60)
        return make(self, cursor)

    monkeypatch.setattr(KnownIds, "_on_maker", held)
    # An empty table needs no wait.
    monkeypatch.setattr(known_ids, "SLICE", 3)
    threading.Timer(0.5, go.set).start()
    writer = Writer(tmp_path / "w.duckdb", NOON)
    go.clear()
    writer.known["payment"]._begin(writer.connection)
    write(writer, "payments", payment(8), payment(9))
    assert not writer.known["payment"].made
    assert counted(writer) == (9, 0)
    go.set()
    writer.known["payment"].making.result(60)
    write(writer, "payments", *(payment(n) for n in range(1, 12)))
    assert writer.known["payment"].made
    assert counted(writer) == (11, 0)
    writer.close()


def test_of_an_id_that_comes_twice_in_a_batch_the_first_by_partition_and_offset_counts(writer: Writer) -> None:
    twice = [chunk("payments", [payment(1, amount=30)], partition=1), chunk("payments", [payment(1, amount=10), payment(1, amount=20), payment(2, amount=40)])]
    writer.apply(twice, NOON, lambda _: None)
    assert writer.connection.execute("SELECT amount FROM payment ORDER BY ALL").fetchall() == [(10,), (40,)]
    assert writer.connection.execute("SELECT partition, accepted, duplicate FROM source_offset ORDER BY ALL").fetchall() == [(0, 2, 1), (1, 0, 1)]


def test_batches_without_duplicates_do_not_search_what_is_kept(writer: Writer) -> None:
    write(writer, "payments", *(payment(n) for n in range(1, 50)))
    searched: list[str] = []
    run = writer.connection

    class Watched:
        def __getattr__(self, name: str) -> object:
            return getattr(run, name)

        def execute(self, text: str, *given: object) -> object:
            searched.append(text)
            return run.execute(text, *given)

    writer.connection = Watched()  # type: ignore[assignment]
    write(writer, "payments", *(payment(n) for n in range(100, 150)))
    assert not [text for text in searched if "doubted" in text]
    # What comes twice in one batch need not be looked for either.
    write(writer, "payments", payment(200), payment(201), payment(200))
    assert not [text for text in searched if "DELETE FROM doubted" in text]
    assert counted(writer)[0] == 49 + 50 + 2
    write(writer, "payments", payment(1))
    assert [text for text in searched if "DELETE FROM doubted" in text]
    assert counted(writer)[0] == 49 + 50 + 2
    writer.connection = run


def test_an_id_that_comes_with_another_time_is_searched_only_in_times_whose_filter_may_have_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_ids, "CAPACITY", 10)
    writer = Writer(tmp_path / "w.duckdb", NOON)
    for day in range(8):
        write(writer, "payments", *(payment(day * 100 + n, occurred_at=ms(NOON) - (8 - day) * DAY) for n in range(10)))
    searched: list[tuple[int, int]] = []
    drop = KnownIds._drop

    def watched(self: KnownIds, connection: duckdb.DuckDBPyConnection, low: datetime, high: datetime) -> list[tuple[int]]:
        searched.append(((NOON.replace(tzinfo=None) - low).days, (NOON.replace(tzinfo=None) - high).days))
        return drop(self, connection, low, high)

    monkeypatch.setattr(KnownIds, "_drop", watched)
    # Two that say their own times, of the oldest and of the newest day, then one of the sixth day before that says now.
    write(writer, "payments", payment(3, occurred_at=ms(NOON) - 8 * DAY), payment(703, occurred_at=ms(NOON) - DAY), payment(900))
    assert counted(writer) == (81, 0)
    assert searched == [(8, 8), (1, 1)]
    searched.clear()
    write(writer, "payments", payment(203), payment(901))
    assert counted(writer) == (82, 0)
    assert searched == [(6, 6)]
    writer.close()


def test_filters_that_could_not_be_made_are_made_again_and_nothing_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "w.duckdb", NOON)
    write(writer, "payments", payment(1))
    writer.close()
    make = KnownIds._on_maker

    def fails(_self: KnownIds, _cursor: duckdb.DuckDBPyConnection) -> list[Segment]:
        monkeypatch.setattr(KnownIds, "_on_maker", make)
        raise OSError("no more room")

    writer = Writer(tmp_path / "w.duckdb", NOON)
    ids = writer.known["payment"]
    monkeypatch.setattr(KnownIds, "_on_maker", fails)
    ids._begin(writer.connection)
    for number in range(2, 5):
        ids.making.exception(60)
        write(writer, "payments", payment(1), payment(number))
        if ids.made:
            break
    assert ids.made
    assert number > 2
    write(writer, "payments", payment(1), payment(9))
    assert counted(writer) == (number + 1, 0)
    writer.close()
