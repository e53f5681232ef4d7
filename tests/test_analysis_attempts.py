"""What failed purchases say of the loss: one amount a purchase, and incomplete wherever a queue kept people out."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from warehouse.analysis import AnalysisError, AttemptsEstimate, FrameError, estimate_attempts

START, END = datetime(2025, 3, 1, 10), datetime(2025, 3, 1, 14)
MINUTE = timedelta(minutes=1)
SCHEMA = {
    "purchase_id": pl.String,
    "user_key": pl.String,
    "market_id": pl.String,
    "first_failure_at": pl.Datetime("us"),
    "failures": pl.Int64,
    "amount": pl.Int64,
    "recovered_at": pl.Datetime("us"),
}


def purchases(*rows: tuple[str | None, str | None, datetime, int, int | None, datetime | None]) -> pl.DataFrame:
    """Rows of purchase, buyer, first failure, failures, amount, recovered."""
    return pl.DataFrame([(purchase, user, "m1", *rest) for purchase, user, *rest in rows], schema=SCHEMA, orient="row")


def load(*, abandoned: int = 0, queue: int = 0, logins: int = 0) -> pl.DataFrame:
    rows = [("queue", abandoned, 0, queue), ("login", 0, logins, 0), ("payment", 0, 7, 0)]
    return pl.DataFrame(rows, schema=["service", "abandoned", "failed", "queue_length"], orient="row")


def codes(found: AttemptsEstimate) -> list[str]:
    return [warning.code for warning in found.warnings]


def test_a_purchase_that_failed_five_times_counts_with_one_amount() -> None:
    found = estimate_attempts(purchases(("p1", "u1", START, 5, 30_000, None), ("p2", "u1", START, 1, 20_000, None)), START, END, load=load())
    assert (found.purchases, found.amount, found.lost, found.never) == (2, 50_000, 50_000, 50_000)


def test_what_was_made_good_in_the_window_is_not_lost_and_later_only_for_good() -> None:
    rows = purchases(
        ("p1", "u1", START, 1, 1_000, START + 5 * MINUTE),
        ("p2", "u2", START, 1, 20_000, END + MINUTE),
        ("p3", "u3", START, 1, 300_000, None),
    )
    found = estimate_attempts(rows, START, END, load=load())
    assert (found.amount, found.lost, found.never, found.recovered) == (321_000, 320_000, 300_000, 2)


def test_only_purchases_that_failed_first_within_the_window_count() -> None:
    rows = purchases(("p1", "u1", START - MINUTE, 1, 1_000, None), ("p2", "u2", END, 1, 20_000, None), ("p3", "u3", END - MINUTE, 1, 300_000, None))
    assert estimate_attempts(rows, START, END).amount == 300_000


def test_without_an_id_the_same_amount_of_the_same_buyer_is_the_same_purchase() -> None:
    again = [(None, "u1", START + n * 30 * MINUTE, 2, 25_000, None) for n in range(3)]
    found = estimate_attempts(purchases(*again, (None, "u1", START, 1, 9_000, None), (None, None, START, 1, 25_000, None)), START, END, load=load())
    assert (found.purchases, found.amount) == (3, 59_000)
    recovered = purchases(*again, (None, "u1", START + 100 * MINUTE, 1, 25_000, START + 105 * MINUTE))
    assert estimate_attempts(recovered, START, END, load=load()).lost == 0


def test_a_queue_makes_it_incomplete_and_that_is_said() -> None:
    rows = purchases(("p1", "u1", START, 1, 30_000, None))
    queued = estimate_attempts(rows, START, END, load=load(abandoned=900, queue=40_000, logins=100))
    assert queued.incomplete
    assert queued.high is None
    assert queued.unseen is not None and queued.unseen.turns == 1_000
    assert "40,000" in queued.warnings[-1]
    open_to_all = estimate_attempts(rows, START, END, load=load())
    assert not open_to_all.incomplete
    assert open_to_all.high == open_to_all.lost
    assert codes(open_to_all) == []


def test_a_queue_of_another_service_is_not_the_waiting_room() -> None:
    rows = pl.concat([load(abandoned=900, queue=40), load().filter(pl.col("service") == "login").with_columns(queue_length=pl.lit(40_000, pl.Int64))])
    found = estimate_attempts(purchases(("p1", "u1", START, 1, 30_000, None)), START, END, load=rows)
    assert found.unseen is not None and (found.unseen.queue, found.unseen.turns) == (40, 900)


def test_a_platform_that_reports_no_load_is_not_taken_for_one_without_a_queue() -> None:
    found = estimate_attempts(purchases(("p1", "u1", START, 1, 30_000, None)), START, END)
    assert found.incomplete
    assert found.unseen is None
    assert codes(found) == ["load_unknown"]


def test_attempts_of_cards_without_an_account_are_missing_and_said() -> None:
    found = estimate_attempts(purchases(("p1", "u1", START, 3, 30_000, None)), START, END, load=load(), failed_attempts=4)
    assert codes(found) == ["attempts_untold"]
    assert "25%" in found.warnings[0]


def test_a_purchase_without_an_amount_is_worth_the_mean_but_nothing_at_the_low_end() -> None:
    found = estimate_attempts(purchases(("p1", "u1", START, 1, 30_000, None), ("p2", "u2", START, 1, None, None)), START, END, load=load())
    assert (found.lost, found.low) == (60_000, 30_000)
    assert codes(found) == ["amounts_unknown"]


def test_a_purchase_without_an_amount_is_worth_what_was_paid_when_it_succeeded() -> None:
    rows = purchases(("p1", "u1", START, 1, None, END + MINUTE), ("p2", "u2", START, 1, 10_000, None)).with_columns(recovered_amount=pl.Series([30_000, None]))
    found = estimate_attempts(rows, START, END, load=load())
    assert (found.amount, found.lost, found.low, codes(found)) == (40_000, 40_000, 40_000, [])


def test_where_no_purchase_has_an_amount_there_is_no_figure_and_no_zero() -> None:
    found = estimate_attempts(purchases(*[(f"p{n}", None, START, 1, None, None) for n in range(50)]), START, END, load=load())
    assert (found.purchases, found.amount, found.lost, found.low, found.high, found.never) == (50, None, None, None, None, None)
    assert codes(found) == ["no_amounts"]


def test_nothing_that_failed_is_nothing_lost() -> None:
    found = estimate_attempts(purchases(), START, END, load=load())
    assert (found.purchases, found.lost, found.low, found.high) == (0, 0, 0, 0)


def test_aware_and_naive_times_are_told_apart() -> None:
    rows = purchases(("p1", "u1", START, 1, 30_000, None))
    aware = rows.with_columns(pl.col("first_failure_at", "recovered_at").dt.replace_time_zone("Asia/Seoul").dt.convert_time_zone("UTC"))
    assert estimate_attempts(aware, START, END).amount == 30_000


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(FrameError, match="recovered_at"):
        estimate_attempts(purchases().drop("recovered_at"), START, END)
    with pytest.raises(AnalysisError, match="after the start"):
        estimate_attempts(purchases(), END, START)
