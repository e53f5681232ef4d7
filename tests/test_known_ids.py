"""Duplicates are found wherever and whenever, and by looking only where a filter cannot say no."""

import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from tests.events_data import NOON, chunk, failure, ms, payment
from warehouse import known_ids
from warehouse.bloom import BloomFilter, Hashes
from warehouse.ingest import Writer

MINUTE = 60_000
DAY = 86_400_000


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
    known = np.concatenate([made.add(part) for part in np.split(kept, 8)])
    assert known.sum() <= 20
    assert made.may_have(kept).all()
    assert made.may_have(others).sum() <= 20
    assert not made.full
    assert made.add(others[:1]).shape == (1,)
    assert made.full


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


def test_a_filter_that_is_full_is_made_anew_and_misses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_ids, "LEAST", 10)
    writer = Writer(tmp_path / "w.duckdb", NOON)
    small = writer.known["payment"].filter
    for number in range(0, 60, 6):
        write(writer, "payments", *(payment(n) for n in range(max(number - 20, 0), number + 6)))
    assert counted(writer) == (60, 0)
    assert writer.known["payment"].filter is not small
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
    go, fill = threading.Event(), BloomFilter.fill

    def held(self: BloomFilter, hashes: Hashes) -> None:
        go.wait(60)
        fill(self, hashes)

    monkeypatch.setattr(BloomFilter, "fill", held)
    writer = Writer(tmp_path / "w.duckdb", NOON)
    write(writer, "payments", payment(8), payment(9))
    assert writer.known["payment"].filter is None
    assert counted(writer) == (9, 0)
    go.set()
    assert writer.known["payment"].making is not None
    writer.known["payment"].making.result(60)
    write(writer, "payments", *(payment(n) for n in range(1, 12)))
    assert writer.known["payment"].filter is not None
    assert counted(writer) == (11, 0)
    writer.close()


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
    assert not [text for text in searched if "TEMP TABLE found" in text]
    write(writer, "payments", payment(1))
    assert [text for text in searched if "TEMP TABLE found" in text]
    writer.connection = run


def test_a_filter_that_could_not_be_made_is_made_again_and_nothing_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Writer(tmp_path / "w.duckdb", NOON)
    write(writer, "payments", payment(1))
    writer.close()
    fill = BloomFilter.fill

    def fails(self: BloomFilter, hashes: Hashes) -> None:
        monkeypatch.setattr(BloomFilter, "fill", fill)
        raise OSError("no more room")

    monkeypatch.setattr(BloomFilter, "fill", fails)
    writer = Writer(tmp_path / "w.duckdb", NOON)
    ids = writer.known["payment"]
    for number in range(2, 5):
        assert ids.filter is None
        assert ids.making is not None
        ids.making.exception(60)
        write(writer, "payments", payment(1), payment(number))
        if ids.filter is not None:
            break
    assert ids.filter is not None
    write(writer, "payments", payment(1), payment(9))
    assert counted(writer) == (number + 1, 0)
    writer.close()
