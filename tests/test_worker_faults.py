"""Kill -9 and exceptions at every step of a batch; each time every cell is counted anew from the topics."""

import json
import random
import signal
import time
import urllib.request
from collections import Counter
from contextlib import closing

import pytest
from kafka.admin import KafkaAdminClient, NewPartitions

from streams.settings import Settings
from streams.simulator import load_scenario, play
from streams.simulator.sending import send
from streams.topics import ensure_topics
from tests.events_data import ms, payment
from tests.faulty_worker import STEPS
from tests.line_process import Cells, WorkerProcess, just_now, published_cells, records_of, recount, recount_topics, send_events

KILLED_AT = [step for step in STEPS if step not in ("fetched", "sought", "statement", "published")]
"""After decoding, inside the transaction, with the dead letters sent, before and after COMMIT, before Kafka is told, and while publishing."""

COUNTED = ("accepted", "duplicate", "refused")


def sent(settings: Settings, scale: float, history_days: int = 28) -> int:
    """Send the launch day with dirt in it; returns how many records there are."""
    ensure_topics(settings)
    send(play(load_scenario("launch-day", scale=scale, history_days=history_days), dirty=0.01), settings.kafka, settings.topic)
    return sum(len(records_of(settings.kafka, settings.topic(t))) for t in ("payments", "errors", "service_load", "commands"))


def counted(worker: WorkerProcess) -> int:
    """Records that the published state knows of."""
    return sum(worker.manifest().get("totals", {}).get(key, 0) for key in COUNTED)


def killed_in_turn(worker: WorkerProcess, steps: list[str], chance: random.Random, total: int) -> Counter[str]:
    """Start the worker, each time with a fault that kills it at the next of ``steps``; then without one until all is read. Returns where it died."""
    died: Counter[str] = Counter()
    for step in steps:
        # What comes first is written most often: a kill too far on would come after the last record.
        worker.fault = f"kill {step} {chance.randint(1, 2 if step == 'manifest' else 5)}"
        worker.start()
        deadline = time.monotonic() + 180
        while worker.process.poll() is None and not (counted(worker) == total and worker.manifest()["lag"] == 0):
            assert time.monotonic() < deadline, f"{worker.fault} came to nothing; {worker.published()}"
            # Reading a manifest of a thousand files is work that the worker would wait for.
            time.sleep(0.3)
        died[step] += worker.kill() == -signal.SIGKILL and counted(worker) < total
    worker.fault, worker.settings = "", worker.settings.model_copy(update={"batch_rows": 50_000})
    worker.start()
    while not (counted(worker) == total and worker.manifest()["lag"] == 0):
        before = worker.health().get("committed_at"), worker.manifest().get("sequence")
        worker.wait(lambda: (worker.health().get("committed_at"), worker.manifest().get("sequence")) != before)  # noqa: B023  # called within this turn
    return died


def assert_exact(worker: WorkerProcess, expected: Cells) -> None:
    """Every cell is what the topics hold, nothing is missed, and each refusal has its letter."""
    settings = worker.settings
    with worker.snapshot() as snapshot:
        assert published_cells(snapshot) == expected
    totals = worker.manifest()["totals"]
    letters = {key for key, _, _ in records_of(settings.kafka, settings.topic("dead-letters"))}
    assert totals["lost"] == 0
    assert totals["refused"] == len(letters) > 0


@pytest.mark.faults
def test_a_signal_ends_the_worker_cleanly_and_a_kill_at_any_step_leaves_every_cell_exact(line: Settings) -> None:
    settings = line.model_copy(update={"clock": "replay", "batch_rows": 1_000})
    total, chance = sent(settings, scale=0.06, history_days=10), random.Random(20)
    steps = ["decoded", "written", "committed", "copied"]
    with WorkerProcess(settings) as worker:
        worker.wait(lambda: worker.health().get("committed_at"))
        began = time.monotonic()
        assert worker.kill(signal.SIGTERM, 60) == 0
        print(f"ended within {time.monotonic() - began:.1f} s of SIGTERM")
        assert counted(worker) < total, "there was no backlog any more: the test shows nothing"
        died = killed_in_turn(worker, chance.sample(steps, len(steps)), chance, total)
        assert_exact(worker, recount_topics(settings))
    assert died.keys() >= {"decoded", "written", "committed"}


@pytest.mark.faults
@pytest.mark.long
def test_kills_at_every_step_within_a_million_events_leave_every_cell_exact(line: Settings) -> None:
    base = line.model_copy(update={"clock": "replay", "batch_rows": 1_000})
    total = sent(base, scale=0.1)
    expected = recount_topics(base)
    died: Counter[str] = Counter()
    seeds = range(4)
    for seed in seeds:
        # Each seed has a warehouse of its own, and so a group of its own, on the same topics.
        chance = random.Random(seed)
        steps = (KILLED_AT * len(seeds))[5 * seed : 5 * seed + 5]
        worker = WorkerProcess(base, warehouse=base.warehouse.parent / f"{seed}.duckdb", published=base.warehouse.parent / f"published-{seed}")
        try:
            died += killed_in_turn(worker, steps, chance, total)
            assert_exact(worker, expected)
        finally:
            worker.kill()
        print(f"seed {seed}: {total:,} records, {len(expected):,} cells, kills so far {dict(died)}", flush=True)
    assert total * len(seeds) >= 1_000_000
    assert set(died) == set(KILLED_AT)
    assert min(died.values()) >= 2


@pytest.mark.faults
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=[] if fault in ("raise decoded 1", "raise written 9") else pytest.mark.long)
        for fault in (
            *("raise fetched 3", "raise decoded 1", "raise statement 80", "raise letters 1", "raise written 9", "raise committed 9"),
            *("raise telling 1", "raise copied 1", "raise manifest 4"),
        )
    ],
)
def test_an_exception_at_any_step_ends_the_worker_with_a_code_and_nothing_is_skipped(line: Settings, fault: str) -> None:
    chance = random.Random(7)
    payments = [payment(n, occurred_at=ms(just_now()), market_id=f"m{n % 9}", amount=chance.randint(1, 90_000)) for n in range(1, 301)]
    with WorkerProcess(line, fault=fault) as worker:
        send_events(line, "payments", [*payments[:200], b"unreadable"])
        assert worker.process.wait(60) not in (0, -signal.SIGKILL)
        assert "a fault at" in worker.log.read_text()
        send_events(line, "payments", payments[200:])
        worker.fault = ""
        worker.start()
        worker.wait_until_read(300)
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount(payments, [])
        assert worker.manifest()["totals"]["refused"] == 1


@pytest.mark.faults
@pytest.mark.long
def test_a_worker_on_a_slow_disk_still_answers_for_its_health(line: Settings) -> None:
    payments = [payment(n, occurred_at=ms(just_now())) for n in range(1, 101)]
    # A statement lasts longer than any answer may, and a batch has dozens of them.
    with WorkerProcess(line, fault="delay statement 10 100") as worker:
        worker.wait(lambda: "slow from here on" in worker.log.read_text())
        worker.wait(lambda: worker.health().get("status") == "ok")
        send_events(line, "payments", payments)
        for _ in range(10):
            with urllib.request.urlopen(f"http://127.0.0.1:{line.web_port}/health", timeout=5) as answer:
                assert json.load(answer)["accepted"] in (None, 0)
            time.sleep(1)
        worker.kill()
        worker.fault = ""
        worker.start()
        worker.wait_until_read(100)
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount(payments, [])


def dealt_anew(worker: WorkerProcess, partitions: int) -> None:
    """A topic with more partitions than before is."""
    with closing(KafkaAdminClient(bootstrap_servers=worker.settings.kafka)) as admin:
        admin.create_partitions({worker.settings.topic("payments"): NewPartitions(partitions)})


@pytest.mark.faults
@pytest.mark.long
def test_a_seek_that_takes_longer_than_faust_waits_is_not_the_last_one(line: Settings) -> None:
    ensure_topics(line)
    payments = [payment(n, occurred_at=ms(just_now())) for n in range(1, 31)]
    with WorkerProcess(line, fault="hang sought 2 45") as worker:
        send_events(line, "payments", payments[:10])
        worker.wait(lambda: counted(worker) == 10)
        dealt_anew(worker, 9)
        send_events(line, "payments", payments[10:20])
        worker.wait(lambda: counted(worker) == 20, 90)
        dealt_anew(worker, 10)
        send_events(line, "payments", payments[20:], partition=9)
        worker.wait(lambda: counted(worker) == 30, 60)


@pytest.mark.faults
@pytest.mark.long
def test_a_worker_that_does_not_begin_to_read_says_so_and_ends_and_the_next_one_reads_on(line: Settings) -> None:
    ensure_topics(line)
    payments = [payment(n, occurred_at=ms(just_now())) for n in range(1, 21)]
    with WorkerProcess(line, fault="hang sought 2 3600") as worker:
        send_events(line, "payments", payments[:10])
        worker.wait(lambda: counted(worker) == 10)
        dealt_anew(worker, 9)
        worker.wait(lambda: "not read" in worker.health().get("status", ""), 60)
        assert worker.process.wait(60) == 1
        assert "reading has not begun" in worker.log.read_text(errors="replace")
        send_events(line, "payments", payments[10:])
        worker.fault = ""
        worker.start()
        worker.wait(lambda: counted(worker) == 20)
