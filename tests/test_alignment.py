"""Partitions of a backlog are read side by side in time, and nobody is waited for in vain."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import AIOKafkaConsumer
from faust.transport.drivers.aiokafka import ensure_aiokafka_TP
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st
from kafka import KafkaProducer

from streams import unpacking
from streams import worker as worker_module
from streams.alignment import AHEAD_MS, PATIENCE_SECONDS, Alignment
from streams.broker import create_topics
from streams.doubts import Doubts
from streams.settings import Settings
from streams.transport import ChunkThread, ChunkTransport, Start
from streams.worker import create_app
from tests.events_data import NOON, ms
from warehouse.ingest import Writer

SLOW, QUICK, OTHER = (TP("payments", number) for number in range(3))
CHUNK_MS, HOUR_MS = 7_200_000, 3_600_000
A_FETCH = 5
"""Hours that a fetch of the small partition brings, at most."""


def aligned(reached: dict[TP, int]) -> Alignment:
    made = Alignment()
    made.brought(reached, now=0.0)
    return made


def test_what_is_an_hour_ahead_waits_as_long_as_there_is_more_before_it() -> None:
    found = aligned({SLOW: 1, QUICK: AHEAD_MS + 2, OTHER: AHEAD_MS + 1})
    every = {SLOW, QUICK, OTHER}
    assert found.wanted(every, every, now=0.0) == {SLOW, OTHER}
    # All of the slow one is read: a live stream's partition without events holds nobody.
    assert found.wanted(every, {QUICK, OTHER}, now=0.0) == every
    assert found.wanted(every, set(), now=0.0) == every


def test_of_others_and_of_what_was_never_read_nothing_is_known_and_nothing_held() -> None:
    clock = TP("clock", 0)
    found = aligned({SLOW: 1, QUICK: AHEAD_MS + 2})
    assert found.wanted({SLOW, QUICK, OTHER, clock}, {SLOW, QUICK, OTHER, clock}, now=0.0) == {SLOW, OTHER, clock}
    # One that went to another worker in a rebalance is not waited for.
    assert found.wanted({QUICK}, {QUICK}, now=0.0) == {QUICK}


def test_records_that_tell_no_time_are_no_reason_to_wait() -> None:
    found = aligned({SLOW: 0, QUICK: 2 * AHEAD_MS})
    assert found.wanted({SLOW, QUICK}, {SLOW, QUICK}, now=0.0) == {SLOW, QUICK}


def test_who_is_waited_for_in_vain_holds_nobody_until_something_comes() -> None:
    found = aligned({SLOW: 1, QUICK: AHEAD_MS + 2})
    both = {SLOW, QUICK}
    for now in (10.0, 10.4, 10.8):
        # Of a clock's topic something comes all the time, and nothing of the slow one.
        assert found.wanted(both, both, now) == {SLOW}
        found.brought({}, now + 0.1)
    assert found.wanted(both, both, 10.9) == {SLOW}
    found.brought({}, 10.0 + PATIENCE_SECONDS)
    assert found.wanted(both, both, 11.1) == both
    found.brought({QUICK: 2 * AHEAD_MS}, 11.2)
    found.brought({}, 30.0)
    assert found.wanted(both, both, 30.1) == both
    for now in (30.2, 60.2):
        found.brought({SLOW: 1}, now)
        # However long ago it was that anybody waited.
        assert found.wanted(both, both, now + 20) == {SLOW}
        found.brought({}, now + 20.5)
        assert found.wanted(both, both, now + 20.6) == {SLOW}


@given(st.lists(st.lists(st.integers(1, CHUNK_MS), max_size=30), min_size=1, max_size=5), st.sets(st.integers(0, 4)))
def test_whatever_partitions_hold_all_is_read_and_nobody_runs_away(lengths: Sequence[Sequence[int]], silent: set[int]) -> None:
    """Each partition is a row of chunks of so many milliseconds; of a silent one, whose broker is away, nothing comes."""
    partitions = {TP("payments", number): list(chunks) for number, chunks in enumerate(lengths)}
    away = {tp for tp in partitions if tp.partition in silent}
    left = {tp: list(chunks) for tp, chunks in partitions.items()}
    reached, found = dict.fromkeys(partitions, 0), Alignment()
    for now in range(sum(map(len, lengths)) + 2 * len(lengths)):
        unread = {tp for tp, chunks in left.items() if chunks}
        wanted = found.wanted(set(partitions), unread, float(now))
        assert wanted
        brought = {tp: reached[tp] + left[tp].pop(0) for tp in wanted & unread - away}
        reached |= brought
        found.brought(brought, float(now))
        # The first chunk of each is read whatever time it is of.
        begun = {tp for tp in unread if len(left[tp]) < len(partitions[tp]) - 1}
        if not away and begun:
            assert max(reached[tp] for tp in begun) - min(reached[tp] for tp in unread) <= AHEAD_MS + CHUNK_MS
    assert all(not chunks for tp, chunks in left.items() if tp not in away)


def test_a_backlog_on_a_broker_is_handed_out_in_the_order_of_time(line: Settings) -> None:
    """One partition has ten times as much of each hour as the other, and a fetch brings a few records of each."""
    hours, topic = 40, line.topic("payments")
    partitions = [TP(topic, number) for number in range(2)]
    create_topics(line.kafka, {topic: len(partitions)})
    # Each record is a batch of its own, which is the least that a broker gives.
    producer = KafkaProducer(bootstrap_servers=line.kafka, acks="all", batch_size=0)
    for tp, an_hour in zip(partitions, (1, 10), strict=True):
        for number in range(hours * an_hour):
            producer.send(topic, b"-" * 2_000, partition=tp.partition, timestamp_ms=ms(NOON) + number * HOUR_MS // an_hour)
    producer.flush()
    producer.close()

    async def drift(*aligned: str) -> float:
        """How many hours a partition was ahead of what was still to be read of the other, at most."""
        consumer = AIOKafkaConsumer(bootstrap_servers=line.kafka, max_partition_fetch_bytes=8_000, auto_offset_reset="earliest")
        await consumer.start()
        consumer.assign([ensure_aiokafka_TP(tp) for tp in partitions])
        thread: Any = ChunkThread.__new__(ChunkThread)
        thread.alignment, thread.sequences, thread.doubts = Alignment(), {}, Doubts()
        thread._ensure_consumer = lambda: consumer
        thread.consumer = SimpleNamespace(flow_active=True, transport=SimpleNamespace(aligned=set(aligned)))
        read, reached, most = dict.fromkeys(partitions, 0), dict.fromkeys(partitions, ms(NOON)), 0
        while sum(read.values()) < 11 * hours:
            found = await thread._fetch_records(consumer, set(partitions), timeout=1.0, max_records=100)
            for tp, (chunk,) in found.items():
                read[tp] += len(chunk.records)
                reached[tp] = int(chunk.records.times[-1])
            open_ends = [reached[tp] for tp, an_hour in zip(partitions, (1, 10), strict=True) if read[tp] < hours * an_hour]
            most = max([most, *(max(reached.values()) - at for at in open_ends)])
        await consumer.stop()
        return most / HOUR_MS

    with unpacking.installed():
        assert asyncio.run(drift(topic)) <= 1 + A_FETCH
        # Without it, where the test would see nothing: each fetch brings four hours of the one and half an hour of the other.
        assert asyncio.run(drift()) > 2 * (1 + A_FETCH)


def test_after_a_seek_nothing_is_known_of_how_far_anybody_had_read() -> None:
    thread: Any = ChunkThread.__new__(ChunkThread)
    thread.sequences, thread.alignment = {}, aligned({SLOW: 1, QUICK: AHEAD_MS + 2})
    thread._ensure_consumer, thread.assignment = SimpleNamespace, set
    asyncio.run(thread.seek_from(Start(2, {SLOW: 0, QUICK: 0})))
    both = {SLOW, QUICK}
    assert thread.alignment.wanted(both, both, now=0.0) == both


def test_a_worker_with_other_topics_is_another_member_of_the_group(tmp_path: Path) -> None:
    """The group gives a static member back what it had; aiokafka's coordinator ends at a topic that is no longer asked for."""

    def member(**given: Any) -> str | None:
        settings = Settings(warehouse=tmp_path / "w.duckdb", **given)
        return worker_module._configured(settings, "group", "me").conf.consumer_group_instance_id

    assert member() == member(partitions=3)
    assert len({member(), member(clock="replay"), member(topic_prefix="mine.")}) == 3


def test_a_worker_reads_the_topics_of_events_side_by_side(tmp_path: Path) -> None:
    settings = Settings(warehouse=tmp_path / "w.duckdb", topic_prefix="mine.")
    worker = create_app(settings, Writer(settings.warehouse, NOON), "me", None)
    try:
        assert cast("ChunkTransport", worker.app.transport).aligned == {"mine.payments", "mine.errors", "mine.service_load"}
    finally:
        worker.tending.close()
        worker.telling.close()
        worker.line.close()
