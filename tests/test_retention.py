"""The file does not grow without bound: single events and refusals go after their time, what they were counted into stays."""

import random
from datetime import timedelta
from pathlib import Path

import polars as pl

from tests.events_data import NOON, chunk, ms, payment
from warehouse.closing import Closing
from warehouse.ingest import MARGIN, Chunk, Writer

DAY = timedelta(days=1)
RAW_DAYS, A_DAY, DAYS = 2, 8_000, 24


def a_day_of_payments(day: int) -> Chunk:
    """As many payments as that in one minute, without the time that JSON takes."""
    first = day * A_DAY
    like = chunk("payments", [payment(1, occurred_at=ms(NOON + day * DAY))], now=NOON + day * DAY).frame
    # Ids that do not pack well, as real ones do not.
    chance = random.Random(day)
    ids = pl.Series([chance.randbytes(16) for _ in range(A_DAY)], dtype=pl.Binary)
    same = pl.concat([like] * A_DAY)
    return Chunk(
        "payments", 0, first, first + A_DAY, same.with_columns(event_id=ids, purchase_id=ids, row=pl.int_range(A_DAY), offset_at=pl.int_range(A_DAY) + first)
    )


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
