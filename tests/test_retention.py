"""The file does not grow without bound: single events and refusals go after their time, what they were counted into stays."""

import math
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from streams.settings import SettingError, Settings
from tests.events_data import NOON, chunk, failure, ms, payment
from warehouse.closing import Closing
from warehouse.ingest import MARGIN, Chunk, Writer

DAY = timedelta(days=1)
RAW_DAYS, A_DAY, DAYS = 2, 8_000, 24
BACKLOG = 150_000


def a_day_of_payments(day: int, count: int = A_DAY) -> Chunk:
    """As many payments as that in one minute, without the time that JSON takes."""
    first = day * count
    like = chunk("payments", [payment(1, occurred_at=ms(NOON + day * DAY))], now=NOON + day * DAY).frame
    # Ids that do not pack well, as real ones do not.
    chance = random.Random(day)
    ids = pl.Series([chance.randbytes(16) for _ in range(count)], dtype=pl.Binary)
    same = like[[0] * count]
    return Chunk(
        "payments", 0, first, first + count, same.with_columns(event_id=ids, purchase_id=ids, row=pl.int_range(count), offset_at=pl.int_range(count) + first)
    )


def test_a_checkpoint_writes_what_is_new_and_not_once_more_what_is_there(tmp_path: Path) -> None:
    """A backlog's batch is larger than a row group, and leaves a small one beside it."""
    writer = Writer(tmp_path / "w.duckdb", NOON)
    for day in range(6):
        writer.apply([a_day_of_payments(day, BACKLOG)], NOON + day * DAY, lambda _: None)
    before = (tmp_path / "w.duckdb").stat().st_size
    writer.connection.execute("CHECKPOINT")
    assert (tmp_path / "w.duckdb").stat().st_size - before < 0.5 * before
    writer.close()


def test_the_file_stays_as_large_as_what_is_kept_while_time_goes_on(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "w.duckdb", NOON)
    closing = Closing(writer, timedelta(minutes=1), RAW_DAYS)
    sizes, kept = [], []
    for day in range(DAYS):
        now = NOON + day * DAY
        writer.apply([a_day_of_payments(day)], now, lambda _: None)
        closing.retire(now.replace(tzinfo=None), now)
        # What is still in the log beside the file comes and goes.
        writer.connection.execute("CHECKPOINT")
        sizes.append((tmp_path / "w.duckdb").stat().st_size)
        kept.append(writer.connection.sql("SELECT count(*) FROM payment").fetchall()[0][0])
    assert max(kept) <= A_DAY * (RAW_DAYS + MARGIN.days + 1)
    assert max(sizes[DAYS // 2 :]) < 1.2 * max(sizes[: DAYS // 2])
    assert writer.connection.sql("SELECT count(*), sum(approved) FROM market_minute").fetchall() == [(DAYS, DAYS * A_DAY)]
    writer.close()


@pytest.mark.parametrize(
    ("first", "then", "failed", "kept"),
    [
        # Two attempts failed, a third was paid, and is refunded much later.
        (
            [("errors", failure(1)), ("errors", failure(1, event_id="again", attempt=2, occurred_at=ms(NOON) + 7_200_000))],
            [payment(1, attempt=3, status="reversed")],
            2,
            [(2, NOON.replace(tzinfo=None))],
        ),
        # Two errors of one attempt that was decided after all.
        ([("errors", failure(1)), ("errors", failure(1, event_id="again", occurred_at=ms(NOON) + 7_200_000))], [payment(1)], 0, []),
        # A time-out told after the payment was through, which is paid once more.
        ([("payments", payment(1)), ("errors", failure(1, occurred_at=ms(NOON) + 7_200_000))], [payment(1, event_id="again")], 0, []),
    ],
)
def test_a_purchase_that_goes_on_over_the_time_that_events_are_kept_is_counted_from_all_of_it(
    tmp_path: Path, first: list[tuple[str, dict[str, Any]]], then: list[dict[str, Any]], failed: int, kept: list[tuple[Any, ...]]
) -> None:
    writer = Writer(tmp_path / "w.duckdb", NOON)
    later = NOON + timedelta(hours=1, minutes=1) + RAW_DAYS * DAY + MARGIN
    for number, (topic, event) in enumerate(first):
        writer.apply([chunk(topic, [event], now=NOON + DAY, first_offset=number)], NOON + DAY, lambda _: None)
    # Half of it is older than what is kept, and half is not.
    Closing(writer, timedelta(minutes=1), RAW_DAYS).retire(later.replace(tzinfo=None), later)
    writer.apply([chunk("payments", [{**event, "occurred_at": ms(later)} for event in then], now=later, first_offset=9)], later, lambda _: None)
    cells = writer.connection.execute("SELECT sum(failed), min(failed), min(failed_amount) FROM market_minute").fetchall()
    assert cells == [(failed, 0, 0)]
    assert writer.connection.execute("SELECT failures, first_failure_at FROM failed_purchase").fetchall() == kept
    # Once all of it is older, all of it goes.
    Closing(writer, timedelta(minutes=1), RAW_DAYS).retire(later.replace(tzinfo=None) + 90 * DAY, later + 90 * DAY)
    assert writer.connection.execute("SELECT (SELECT count(*) FROM failure), (SELECT count(*) FROM failed_purchase_payment)").fetchall() == [(0, 0)]
    writer.close()


def test_refusals_are_counted_for_ever_and_their_reasons_kept_as_long_as_single_events(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "w.duckdb", NOON)
    closing = Closing(writer, timedelta(minutes=1), RAW_DAYS)
    writer.apply([chunk("payments", [b"?"])], NOON, lambda _: None)
    for day, left in [(0, 1), (3, 1), (4, 0)]:
        now = NOON + day * DAY
        closing.retire(now.replace(tzinfo=None), now)
        assert writer.connection.sql("SELECT count(*) FROM rejected").fetchall() == [(left,)]
    assert writer.connection.sql("SELECT refused FROM source_offset").fetchall() == [(1,)]
    writer.close()


def test_no_setting_lets_time_reach_beyond_the_calendar(tmp_path: Path) -> None:
    century = {"raw_days": 36_500, "lateness_seconds": 36_500 * 86_400, "lake_days": 36_500}
    longest = Settings.read(**century)
    writer = Writer(tmp_path / "w.duckdb", NOON)
    closing = Closing(writer, timedelta(seconds=longest.lateness_seconds), longest.raw_days)
    writer.apply([chunk("payments", [payment(1)])], NOON, lambda _: None)
    closing.close(NOON.replace(tzinfo=None) - closing.lateness)
    closing.retire(NOON.replace(tzinfo=None), NOON)
    assert NOON - timedelta(days=longest.lake_days) < NOON
    for name, most in century.items():
        for beyond in (most + 1, 10**9 * most, *([math.inf, math.nan] if name != "raw_days" else [])):
            with pytest.raises(SettingError, match=f"ONNURI_{name.upper()} is {beyond}"):
                Settings.read(**{name: beyond})
    writer.close()
