"""What was accepted is what the minutes hold, whatever the order, the batches, repetitions, partitions, crashes and restarts."""

import random
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.health import metrics
from tests.events_data import NOON, chunk, failure, ms, payment
from tests.line_process import recount
from tests.test_ingest import cells, history, ignore, rows
from warehouse.ingest import Chunk, Refused, Writer
from warehouse.publishing import Publisher

POISON: list[object] = [
    b"\xff\xfe",
    b"",
    b'{"amount":"100"}',
    payment(1, occurred_at=ms(NOON) // 1000),
    payment(2, occurred_at=ms(NOON) + 10**9),
    payment(3, amount=0),
]
TABLES = ("market_minute", "issuer_minute", "merchant_day", "service_minute", "failed_purchase", "unknown_name")


class CrashError(Exception):
    """The process ends here."""


def crash(_: list[tuple[str, int, Refused]]) -> None:
    raise CrashError


def tables(writer: Writer) -> dict[str, list[str]]:
    return {table: sorted(map(str, rows(writer, f"FROM {table}"))) for table in TABLES}


def deliver(folder: Path, arrivals: list[tuple[str, object]], chance: random.Random, restarts: float) -> Writer:
    """Arrivals in two partitions a topic and batches of any size; some batches end in a crash, after some the process starts anew and reads again."""
    logs: dict[tuple[str, int], list[object]] = defaultdict(list)
    for topic, event in arrivals:
        logs[topic, chance.randrange(2)].append(event)
    writer, read = Writer(folder / "w.duckdb", NOON), dict.fromkeys(logs, 0)
    while any(read[where] < len(log) for where, log in logs.items()):
        batch: list[Chunk] = []
        for (topic, partition), log in logs.items():
            low = read[topic, partition]
            high = min(len(log), low + chance.randrange(12))
            if high > low:
                batch.append(chunk(topic, log[low:high], first_offset=low, partition=partition))
                read[topic, partition] = high
        if chance.random() < restarts:
            with pytest.raises(CrashError):
                writer.apply([*batch, chunk("payments", [b"?"], first_offset=10**6, partition=9)], NOON, crash)
        writer.apply(batch, NOON, ignore)
        if chance.random() < restarts:
            writer.close()
            writer = Writer(folder / "w.duckdb", NOON)
            # Kafka's offset may lie before the warehouse's.
            read = {where: max(0, at - chance.randrange(15)) for where, at in read.items()}
    return writer


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), size=st.integers(1, 30))
@example(seed=184, size=1)
def test_totals_of_accepted_events_are_totals_of_minutes(tmp_path_factory: pytest.TempPathFactory, seed: int, size: int) -> None:
    chance = random.Random(seed)
    payments, failures = history(seed, size)
    sound: list[tuple[str, Any]] = [("payments", p) for p in payments] + [("errors", f) for f in failures]
    plain = deliver(tmp_path_factory.mktemp("plain"), list(sound), random.Random(0), 0)
    repeated = chance.choices(sound, k=size)
    poison = [(chance.choice(["payments", "errors"]), bad) for bad in chance.choices(POISON, k=size // 3)]
    arrivals = [*sound, *repeated, *poison]
    chance.shuffle(arrivals)
    made = deliver(tmp_path_factory.mktemp("hostile"), arrivals, chance, 0.3)
    assert tables(made) == tables(plain)
    assert cells(made) == recount(payments, failures)
    assert rows(made, "SELECT sum(accepted), sum(duplicate), sum(refused) FROM source_offset") == [(len(sound), size, size // 3)]
    # A history may have no payment at all, or no minute: of no rows DuckDB's count_if is null.
    sums = ("approved", "approved_amount", "declined", "reversed", "reversed_amount")
    assert rows(made, f"SELECT {', '.join(f'coalesce(sum({column}), 0)' for column in sums)} FROM market_minute") == rows(
        made,
        "SELECT count(*) FILTER (status = 'approved'), coalesce(sum(if(status = 'approved', amount, 0)), 0), count(*) FILTER (status = 'declined'), "
        "count(*) FILTER (status = 'reversed'), coalesce(sum(if(status = 'reversed', amount, 0)), 0) FROM payment",
    )
    plain.close()
    made.close()


def story() -> list[tuple[str, dict[str, Any]]]:
    """One purchase: a timeout, a second one that was approved after all, and the approval taken back in part, then whole; and a straggler."""
    at = ms(NOON) - 3_600_000
    approval = payment(1, attempt=2, occurred_at=at + 90_000)
    return [
        ("errors", failure(1, occurred_at=at)),
        ("errors", failure(2, purchase_id="purchase-1", attempt=2, occurred_at=at + 60_000)),
        ("payments", approval),
        ("payments", payment(3, status="reversed", amount=5_000, reverses=approval["event_id"], occurred_at=at + 180_000, purchase_id=None, attempt=None)),
        ("payments", payment(4, status="reversed", amount=20_000, reverses=approval["event_id"], occurred_at=at + 240_000, purchase_id=None, attempt=None)),
        ("payments", payment(5, occurred_at=at - 86_400_000)),
    ]


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(6)), each_alone=st.booleans())
def test_an_approval_before_its_failure_and_a_reversal_before_its_approval_give_the_same_tables(
    tmp_path_factory: pytest.TempPathFactory,
    order: list[int],
    each_alone: bool,  # noqa: FBT001
) -> None:
    events = [story()[place] for place in order]
    writer = Writer(tmp_path_factory.mktemp("w") / "w.duckdb", NOON)
    offsets = {"payments": 0, "errors": 0}
    for some in [[event] for event in events] if each_alone else [events]:
        batch = []
        for topic, first in list(offsets.items()):
            mine = [event for name, event in some if name == topic]
            if mine:
                batch.append(chunk(topic, mine, first_offset=first))
                offsets[topic] = first + len(mine)
        writer.apply(batch, NOON, ignore)
    assert cells(writer) == recount([e for t, e in story() if t == "payments"], [e for t, e in story() if t == "errors"])
    assert rows(writer, "SELECT sum(approved_amount), sum(reversed_amount), sum(failed) FROM market_minute") == [(50_000, 25_000, 1)]
    assert rows(writer, "SELECT failures, recovered_amount FROM failed_purchase") == [(1, 25_000)]
    writer.close()


@pytest.mark.slow
def test_duplicates_days_apart_and_after_a_restart_count_once_and_the_counts_are_told(tmp_path: Path) -> None:
    days_ago = payment(1, occurred_at=ms(NOON - timedelta(days=30)))
    writer = Writer(tmp_path / "w.duckdb", NOON)
    writer.apply([chunk("payments", [days_ago])], NOON, ignore)
    for day in range(1, 31):
        writer.apply([chunk("payments", [payment(1 + day, occurred_at=ms(NOON - timedelta(days=30 - day)))], first_offset=day)], NOON, ignore)
    writer.close()
    writer = Writer(tmp_path / "w.duckdb", NOON)
    writer.apply([chunk("payments", [days_ago], partition=1), chunk("payments", [days_ago], first_offset=31)], NOON, ignore)
    assert rows(writer, "SELECT sum(approved) FROM market_minute") == [(31,)]
    assert rows(writer, "SELECT partition, accepted, duplicate FROM source_offset ORDER BY 1") == [(0, 31, 1), (1, 0, 1)]
    published = Publisher(writer.connection, tmp_path / "published").publish(NOON, NOON, {}, {})
    assert published["totals"]["duplicate"] == 2
    assert 'onnuri_records_duplicate_total{partition="1",topic="payments"} 1.0' in metrics("running", published, 0, NOON).decode()
    writer.close()
