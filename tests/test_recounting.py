"""The recount that the long tests compare with agrees with the warehouse on one file, and sees one row that is wrong."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.events_data import KEY, NOON, chunk, payment
from tests.recounting import TABLES, recounted
from tests.test_ingest import history, ignore
from warehouse.ingest import Writer


def held(writer):
    return {table: Counter(writer.connection.execute(f"SELECT {columns} FROM {table}").fetchall()) for table, columns in TABLES.items()}


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 40), cuts=st.integers(1, 5))
def test_the_recount_and_the_warehouse_agree_on_every_row_of_every_table(tmp_path_factory, seed, size, cuts):
    payments, failures = history(seed, size)
    for number, event in enumerate(payments):
        event["latency_ms"] = number * 700 % 13_000
    writer = Writer(tmp_path_factory.mktemp("w") / "w.duckdb", NOON)
    for cut in range(cuts):
        batch = []
        for topic, events in (("payments", payments), ("errors", failures)):
            mine = events[len(events) * cut // cuts : len(events) * (cut + 1) // cuts]
            batch.append(chunk(topic, mine, first_offset=len(events) * cut // cuts))
        writer.apply(batch, NOON, ignore)
    assert held(writer) == recounted(payments, failures, KEY)
    writer.close()


def test_the_recount_sees_a_payment_that_was_counted_twice_and_one_that_was_not(tmp_path):
    payments = [payment(number) for number in range(1, 5)]
    writer = Writer(tmp_path / "w.duckdb", NOON)
    writer.apply([chunk("payments", payments)], NOON, ignore)
    assert held(writer) == recounted(payments, [], KEY)
    assert held(writer) != recounted(payments[:-1], [], KEY)
    assert held(writer) != recounted([*payments, payment(5)], [], KEY)
    writer.close()
