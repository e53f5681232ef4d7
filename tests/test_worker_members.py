"""Several workers, copies of a warehouse, and others in the worker's group."""

import asyncio
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from streams.ports import free_port
from streams.settings import Settings
from tests.events_data import encoded, failure, ms, payment
from tests.line_process import WorkerProcess, just_now, producer, published_cells, recount_topics


@contextmanager
def sending(settings: Settings, seed: int) -> Iterator[list[int]]:
    """Payments and failures all the time until the end of the block; then the list holds how many."""
    done, count = threading.Event(), [0]

    def send() -> None:
        chance = random.Random(seed)
        with producer(settings) as made:
            while not done.is_set():
                at = ms(just_now())
                for _ in range(20):
                    count[0] += 1
                    event: dict[str, Any] = payment(count[0], occurred_at=at, market_id=f"m{chance.randint(1, 30)}", amount=chance.randint(1, 90_000))
                    if chance.random() < 0.2:
                        event = failure(count[0], occurred_at=at, market_id=event["market_id"])
                    made.send(settings.topic("errors" if "code" in event else "payments"), key=event["market_id"].encode(), value=encoded(event))
                time.sleep(0.05)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield count
    finally:
        done.set()
        thread.join()


def accepted(worker: WorkerProcess) -> int:
    """Events in the published state."""
    return worker.manifest().get("totals", {}).get("accepted", 0)


def goes_on(worker: WorkerProcess) -> int:
    """Wait until more events are published; returns how many were before."""
    before = accepted(worker)
    worker.wait(lambda: accepted(worker) > before)
    return before


@pytest.mark.faults
@pytest.mark.long
def test_a_worker_on_a_copy_of_a_warehouse_waits_until_the_other_is_gone(line: Settings) -> None:
    copy = line.model_copy(update={"warehouse": line.warehouse.parent / "copy" / "w.duckdb", "web_port": free_port()})
    first, second = WorkerProcess(line), WorkerProcess(copy)
    with first, sending(line, 1):
        first.wait(lambda: accepted(first))
        assert first.kill(signal.SIGTERM, 60) == 0
        copy.warehouse.parent.mkdir()
        shutil.copy(line.warehouse, copy.warehouse)
        first.start()
        first.wait(lambda: first.health().get("status") == "ok")
        with second:
            second.wait(lambda: "on a copy of this warehouse" in second.log.read_text())
            read = goes_on(first)
            assert not second.manifest()
            first.kill()
            # The dead one stays a member until its session is over.
            second.wait(lambda: accepted(second) > read)


@pytest.mark.faults
@pytest.mark.long
def test_others_who_join_and_leave_the_group_cost_nothing(line: Settings) -> None:
    async def join_and_leave(group: str) -> None:
        chance = random.Random(3)
        for _ in range(6):
            other = AIOKafkaConsumer(
                line.topic("payments"),
                line.topic("errors"),
                bootstrap_servers=line.kafka,
                group_id=group,
                enable_auto_commit=False,
                partition_assignment_strategy=[RoundRobinPartitionAssignor],
            )
            await other.start()
            try:
                deadline = time.monotonic() + 1 + 3 * chance.random()
                while time.monotonic() < deadline:
                    await other.getmany(timeout_ms=200)
                joined.append(len(other.assignment()))
            finally:
                await other.stop()

    joined: list[int] = []
    with WorkerProcess(line) as worker:
        with sending(line, 2) as count:
            worker.wait(lambda: accepted(worker))
            asyncio.run(join_and_leave(f"onnuri-{worker.manifest()['warehouse_id']}"))
        assert any(joined), "nobody got a partition: the test shows nothing"
        worker.wait_until_read(count[0])
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount_topics(line)
        assert worker.manifest()["totals"]["lost"] == 0


@pytest.mark.faults
@pytest.mark.long
def test_a_worker_that_is_frozen_beyond_its_session_and_woken_counts_nothing_twice(line: Settings) -> None:
    waiting = WorkerProcess(line, web_port=free_port())
    with WorkerProcess(line) as worker:
        with sending(line, 4) as count:
            worker.wait(lambda: accepted(worker))
            waiting.start()
            try:
                waiting.wait(lambda: "Standby" in waiting.log.read_text())
                for _ in range(2):
                    worker.process.send_signal(signal.SIGSTOP)
                    time.sleep(25)
                    # The file is still the frozen one's, so nobody else writes.
                    assert waiting.health() == {}
                    worker.process.send_signal(signal.SIGCONT)
                    goes_on(worker)
            finally:
                waiting.kill()
        worker.wait_until_read(count[0])
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount_topics(line)
        assert "rejoin" in worker.log.read_text().lower() or "re-join" in worker.log.read_text().lower()
