"""The worker as a process, on real Kafka and a real DuckDB file."""

import asyncio
import hashlib
import json
import random
import signal
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType

from streams.backups import ask_for_backup
from streams.broker import EmbeddedBroker, create_topics
from streams.broker_watch import compacted
from streams.doctor import findings
from streams.letters import CUT_BYTES
from streams.ports import check_port, free_port
from streams.saying import say_commands
from streams.settings import Settings
from streams.simulator import load_scenario, play
from streams.simulator.sending import send
from streams.topics import READ, ensure_topics
from tests.events_data import encoded, failure, ms, payment
from tests.line_process import WorkerProcess, just_now, producer, published_cells, records_of, recount, recount_topics, send_events
from warehouse.connection import open_file
from warehouse.ingest import Writer


def test_events_of_two_topics_reach_the_published_files_exactly(line: Settings) -> None:
    at = ms(just_now())
    payments = [payment(n, occurred_at=at, market_id=f"m{n % 7}") for n in range(1, 501)]
    failures = [failure(n, occurred_at=at + 1_000, market_id=f"m{n % 7}", attempt=n % 3 + 1) for n in range(400, 600)]
    with WorkerProcess(line) as worker:
        send_events(line, "payments", payments)
        send_events(line, "errors", failures)
        worker.wait_until_read(700)
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount(payments, failures) == recount_topics(line)
        assert worker.health()["status"] == "ok"
        assert worker.kill(signal.SIGTERM) == 0


def test_a_port_that_is_taken_is_one_sentence_that_names_the_setting(line: Settings) -> None:
    with socket.create_server(("127.0.0.1", line.web_port)):
        worker = WorkerProcess(line)
        worker.start()
        assert worker.process is not None
        assert worker.process.wait(60) == 1
    told = worker.log.read_text()
    assert f"ONNURI_WEB_PORT is {line.web_port}" in told
    assert "Traceback" not in told


def test_a_second_line_ends_where_another_publishes_and_names_both(line: Settings, tmp_path: Path) -> None:
    second = WorkerProcess(
        line, topic_prefix=f"{line.topic_prefix}second.", web_port=free_port(), warehouse=tmp_path / "second.duckdb", published=line.published_folder
    )
    Writer(second.settings.warehouse, just_now()).close()
    with WorkerProcess(line) as worker:
        worker.wait(lambda: worker.health().get("published_at"))
        second.start()
        assert second.process is not None
        assert second.process.wait(60) == 1
        told = second.log.read_text()
        assert worker.manifest()["warehouse_id"] in told and "ONNURI_PUBLISHED" in told
        assert "Traceback" not in told


def test_a_port_may_be_asked_of_either_family_of_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"):
            check_port(port, "127.0.0.1")
        assert check_port(port, "::1") == port
    assert check_port(port, "localhost") == port


@pytest.mark.faults
@pytest.mark.parametrize(("kills", "scale", "history_days", "cells"), [(4, 0.08, 10, 15_000), pytest.param(10, 0.1, 28, 50_000, marks=pytest.mark.long)])
def test_kills_in_the_middle_of_a_simulation_leave_every_cell_exact(line: Settings, kills: int, scale: float, history_days: int, cells: int) -> None:
    # Small batches, so that there are many places to be killed at.
    settings = line.model_copy(update={"clock": "replay", "batch_rows": 1_000})
    ensure_topics(settings)
    scenario = load_scenario("launch-day", scale=scale, history_days=history_days)
    sending = threading.Thread(target=lambda: send(play(scenario, dirty=0.02), settings.kafka, settings.topic))
    chance = random.Random(5)
    worker = WorkerProcess(settings)
    worker.start()
    sending.start()
    try:
        for _ in range(kills):
            worker.wait(lambda: worker.health().get("committed_at"))
            time.sleep(chance.random())
            assert worker.kill() == -signal.SIGKILL
            worker.start()
        counted = ("accepted", "duplicate", "refused")
        before_the_end = sum(worker.manifest()["totals"][key] for key in counted)
        sending.join(120)
        total = sum(len(records_of(settings.kafka, settings.topic(t))) for t in ("payments", "errors", "service_load", "commands"))
        worker.wait(lambda: sum(worker.manifest()["totals"][key] for key in counted) == total and worker.manifest()["lag"] == 0, 180)
        with worker.snapshot() as snapshot:
            found = published_cells(snapshot)
    finally:
        worker.kill()
        sending.join(120)
    assert before_the_end < total
    assert found == recount_topics(settings)
    assert len(found) > cells


@pytest.mark.faults
def test_what_was_committed_but_not_published_is_published_after_a_restart(line: Settings) -> None:
    events = [payment(n, occurred_at=ms(just_now())) for n in range(1, 50)]
    silent = WorkerProcess(line, publish_seconds=3600)
    with silent:
        silent.wait(lambda: silent.health().get("published_at"))
        send_events(line, "payments", events)
        silent.wait(lambda: silent.health()["committed_at"])
        assert silent.manifest()["totals"]["accepted"] == 0
        silent.kill()
    with WorkerProcess(line) as worker:
        worker.wait_until_read(49)
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount(events, [])


@pytest.mark.faults
def test_a_second_worker_waits_and_takes_over(line: Settings) -> None:
    first, second = WorkerProcess(line), WorkerProcess(line, web_port=free_port())
    with first:
        first.wait(lambda: first.health().get("status") == "ok")
        with second:
            second.wait(lambda: "Standby" in second.log.read_text())
            send_events(line, "payments", [payment(1, occurred_at=ms(just_now()))])
            first.wait_until_read(1)
            first.kill()
            gone = time.monotonic()
            send_events(line, "payments", [payment(2, occurred_at=ms(just_now()))])
            second.wait_until_read(2, seconds=30)
            assert time.monotonic() - gone < 30


def test_empty_partitions_do_not_stop_the_watermark(line: Settings) -> None:
    with WorkerProcess(line) as worker:
        send_events(line, "payments", [payment(1, occurred_at=ms(just_now()))])
        worker.wait_until_read(1)
        began = worker.manifest()["watermark"]
        worker.wait(lambda: worker.manifest()["watermark"] > began, 10)


@pytest.mark.slow
def test_total_silence_opens_an_incident(line: Settings) -> None:
    settings = line.model_copy(update={"clock": "replay"})
    ensure_topics(settings)
    scenario = load_scenario("ordinary-week", scale=0.3)
    silent_from = scenario.opens(scenario.days[-1]) + timedelta(hours=14)
    until = silent_from + timedelta(minutes=30)
    with WorkerProcess(settings) as worker:
        send((one for one in play(scenario) if one.until <= silent_from), settings.kafka, settings.topic)
        with producer(settings) as made:
            # Time goes on, and nothing comes.
            made.send(settings.topic("clock"), value=encoded({"now": ms(until)}), timestamp_ms=ms(until))
        closed = (until - timedelta(minutes=1)).astimezone(UTC).isoformat()
        worker.wait(lambda: (worker.manifest().get("detected_through") or "") >= closed, 120)
        with worker.snapshot() as snapshot:
            found = snapshot.query("incidents_newest_first").rows(named=True)
    (incident,) = found
    assert (incident["kind"], incident["scope"], incident["ended_at"]) == ("missing_sales", "nation", None)
    assert abs(incident["onset_at"].replace(tzinfo=UTC) - silent_from) <= timedelta(minutes=5)
    assert incident["detected_at"] - incident["onset_at"] <= timedelta(minutes=10)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_every_compression_of_another_client_is_read(line: Settings, codec: str) -> None:
    events = [payment(n, occurred_at=ms(just_now())) for n in range(1, 200)]

    async def produce() -> None:
        made = AIOKafkaProducer(bootstrap_servers=line.kafka, compression_type=codec)
        await made.start()
        try:
            for event in events:
                await made.send(line.topic("payments"), encoded(event))
        finally:
            await made.stop()

    asyncio.run(produce())
    with WorkerProcess(line) as worker:
        worker.wait_until_read(199)
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount(events, [])


def test_only_what_a_transaction_committed_counts_and_its_holes_are_no_loss(line: Settings) -> None:
    at = ms(just_now())

    async def produce() -> None:
        made = AIOKafkaProducer(bootstrap_servers=line.kafka, transactional_id=line.topic_prefix)
        await made.start()
        try:
            for n in range(1, 21):
                await made.begin_transaction()
                await made.send_and_wait(line.topic("payments"), encoded(payment(n, occurred_at=at)), partition=0)
                await (made.abort_transaction() if n % 2 else made.commit_transaction())
        finally:
            await made.stop()

    with WorkerProcess(line) as worker:
        asyncio.run(produce())
        worker.wait_until_read(10)
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount([payment(n, occurred_at=at) for n in range(2, 21, 2)], [])
        assert worker.manifest()["totals"]["lost"] == 0


def test_what_an_open_transaction_holds_back_is_still_to_come_and_no_minute_closes_over_it(line: Settings) -> None:
    async def produce(worker: WorkerProcess) -> None:
        made = AIOKafkaProducer(bootstrap_servers=line.kafka, transactional_id=line.topic_prefix)
        await made.start()
        try:
            await made.begin_transaction()
            held = datetime.now(UTC)
            await made.send_and_wait(line.topic("payments"), encoded(payment(1, occurred_at=ms(held))), partition=0)
            # Acknowledged, but after the open transaction's first record.
            await asyncio.to_thread(send_events, line, "payments", [payment(n, occurred_at=ms(held)) for n in range(2, 12)], partition=0)
            await asyncio.to_thread(worker.wait, lambda: worker.manifest()["lag"] == 11)
            seen = worker.manifest()["sequence"]
            await asyncio.to_thread(worker.wait, lambda: worker.manifest()["now"] > (held + timedelta(seconds=3)).isoformat())
            state = worker.manifest()
            assert state["sequence"] > seen
            assert (state["totals"]["accepted"], state["lag"]) == (0, 11)
            assert state["watermark"] < held.isoformat()
            await made.commit_transaction()
        finally:
            await made.stop()

    with WorkerProcess(line, lateness_seconds=0) as worker:
        worker.wait(lambda: worker.manifest().get("watermark"))
        asyncio.run(produce(worker))
        worker.wait_until_read(11)


def test_what_cannot_be_read_ends_in_dead_letters_and_its_neighbours_count(line: Settings) -> None:
    at = ms(just_now())
    good = [payment(n, occurred_at=at) for n in range(1, 11)]
    bad = [b"\xff\xfe", b'{"amount":"100"}', encoded(payment(99, occurred_at=at // 1000)), encoded(payment(98, amount=0, occurred_at=at))]
    with WorkerProcess(line) as worker:
        send_events(line, "payments", [item for pair in zip(good, bad * 3, strict=False) for item in pair], partition=0)
        worker.wait_until_read(10)
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount(good, [])
        assert worker.manifest()["totals"]["refused"] == 10
    letters = records_of(line.kafka, line.topic("dead-letters"))
    topic = line.topic("payments")
    assert sorted((key, value) for key, value, _ in letters) == sorted((f"{topic}/0/{2 * n + 1}".encode(), bad[n % 4]) for n in range(10))
    reasons = {dict(headers)["reason"] for _, _, headers in letters}
    assert reasons == {b"malformed", b"invalid", b"implausible_time"}


def test_a_refused_record_that_is_too_large_for_the_dead_letters_is_kept_cut_and_the_line_goes_on(line: Settings) -> None:
    # Two clusters need not have the same limits: here the topic of the letters takes less than that of the payments.
    admin = KafkaAdminClient(bootstrap_servers=line.kafka)
    admin.delete_topics([line.topic("dead-letters")])
    time.sleep(1)
    admin.close()
    create_topics(line.kafka, {line.topic("dead-letters"): 1}, {"max.message.bytes": "200000"})
    bomb, event = b"[" * 900_000, payment(1, occurred_at=ms(just_now()))
    with WorkerProcess(line) as worker:
        send_events(line, "payments", [bomb, event], partition=0)
        worker.wait_until_read(1)
    ((key, value, headers),) = records_of(line.kafka, line.topic("dead-letters"))
    said = dict(headers)
    assert (key, value) == (f"{line.topic('payments')}/0/0".encode(), bomb[:CUT_BYTES])
    assert (said["reason"], said["cut-from"], said["sha256"]) == (b"too_large", b"900000", hashlib.sha256(bomb).hexdigest().encode())


@pytest.mark.faults
def test_records_that_go_while_the_worker_is_frozen_are_reported_though_nothing_follows_them(line: Settings) -> None:
    at = ms(just_now())
    with WorkerProcess(line) as worker:
        send_events(line, "payments", [payment(n, occurred_at=at) for n in range(1, 11)], partition=0)
        worker.wait_until_read(10)
        assert worker.process is not None
        worker.process.send_signal(signal.SIGSTOP)
        # A fetch that waits at the broker is answered with the first record that comes; what comes after it stays there.
        send_events(line, "payments", [payment(11, occurred_at=at)], partition=0)
        time.sleep(2)
        send_events(line, "payments", [payment(n, occurred_at=at) for n in range(12, 31)], partition=0)
        admin = KafkaAdminClient(bootstrap_servers=line.kafka)
        admin.delete_records({TopicPartition(line.topic("payments"), 0): 30})
        admin.close()
        worker.process.send_signal(signal.SIGCONT)
        worker.wait(lambda: worker.manifest()["lost_ranges"], 30)
        (lost,) = worker.manifest()["lost_ranges"]
        assert (lost["topic"], lost["partition"], lost["to_offset"]) == ("payments", 0, 30)
        read = lost["from_offset"]
        assert read in (10, 11)
        assert worker.manifest()["totals"]["accepted"] == read
        send_events(line, "payments", [payment(n, occurred_at=at) for n in range(31, 36)], partition=0)
        worker.wait_until_read(read + 5)
        assert len(worker.manifest()["lost_ranges"]) == 1


@pytest.mark.faults
def test_a_topic_made_anew_is_noticed_and_read_from_its_beginning(line: Settings) -> None:
    at = ms(just_now())
    with WorkerProcess(line) as worker:
        send_events(line, "payments", [payment(n, occurred_at=at) for n in range(1, 11)], partition=0)
        worker.wait_until_read(10)
        admin = KafkaAdminClient(bootstrap_servers=line.kafka)
        admin.delete_topics([line.topic("payments")])
        admin.close()
        time.sleep(1)
        ensure_topics(line)
        send_events(line, "payments", [payment(n, occurred_at=at) for n in range(101, 121)], partition=0)
        worker.wait_until_read(30, seconds=40)
        assert [r["cause"] for r in worker.manifest()["lost_ranges"] if r["partition"] == 0] == ["topic made anew"]
        with worker.snapshot() as snapshot:
            assert snapshot.query("grand_totals")["approved"].item() == 30


@pytest.mark.slow
def test_without_the_topic_of_incidents_batches_go_on_at_their_pace_and_what_is_to_be_told_waits(line: Settings) -> None:
    with WorkerProcess(line) as worker:
        send_events(line, "payments", [payment(1, occurred_at=ms(just_now()))])
        worker.wait_until_read(1)
        admin = KafkaAdminClient(bootstrap_servers=line.kafka)
        admin.delete_topics([line.topic("incidents")])
        admin.close()
        say_commands(line, "ops", [("incident_declared", {"scope": "nation", "onset_at": "2025-03-01T10:00+09:00"})])
        worker.wait(lambda: worker.health().get("status") == "waiting: topic incidents", 60)
        commits, until = {}, time.monotonic() + 15
        with producer(line) as made:
            while time.monotonic() < until:
                made.send(line.topic("payments"), encoded(payment(1, occurred_at=ms(just_now()))))
                commits.setdefault(worker.health()["committed_at"], time.monotonic())
                time.sleep(0.1)
        assert max(later - earlier for earlier, later in pairwise(commits.values())) < 5
        ensure_topics(line)
        worker.wait(lambda: worker.health().get("status") == "ok", 60)
        ((_, told, _),) = records_of(line.kafka, line.topic("incidents"))
        assert json.loads(told)["action"] == "declared"
        assert worker.kill(signal.SIGTERM) == 0


def test_a_worker_whose_file_was_moved_away_says_so_and_goes_on_when_it_is_back(line: Settings) -> None:
    with WorkerProcess(line) as worker:
        send_events(line, "payments", [payment(1, occurred_at=ms(just_now()))])
        worker.wait_until_read(1)
        line.warehouse.rename(line.warehouse.with_name("elsewhere"))
        worker.wait(lambda: worker.health().get("status") == "waiting: the warehouse's file was removed or replaced", 30)
        assert "onnuri backup --from-worker FILE" in worker.log.read_text()
        line.warehouse.with_name("elsewhere").rename(line.warehouse)
        worker.wait(lambda: worker.health().get("status") == "ok", 30)


def test_a_topic_of_which_the_brokers_keep_the_newest_of_each_key_alone_is_refused_and_found(line: Settings) -> None:
    topics = [line.topic(name) for name in READ]
    assert compacted(line.kafka, [*topics, line.topic("none")]) == set()
    admin = KafkaAdminClient(bootstrap_servers=line.kafka)
    for topic, policy in zip(topics, ("compact", "compact,delete", "delete", "delete"), strict=True):
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"cleanup.policy": policy})])
    admin.close()
    wanted = f"Compacted: {topics[1]}, {topics[0]}. "
    (found,) = [one for one in findings(line, datetime.now(UTC)) if one.check == "compaction"]
    assert not found.ok
    assert wanted in found.finding
    worker = WorkerProcess(line)
    worker.start()
    assert worker.process is not None
    assert worker.process.wait(60) == 1
    told = worker.log.read_text()
    assert wanted in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_without_a_broker_a_worker_waits_and_begins_when_there_is_one(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(kafka=f"127.0.0.1:{port}", warehouse=tmp_path / "w.duckdb", partitions=2, publish_seconds=0.2, web_port=free_port())
    with WorkerProcess(settings) as worker:
        worker.wait(lambda: "No broker at" in worker.log.read_text(), 60)
        with EmbeddedBroker(tmp_path / "kafka", port):
            worker.wait(lambda: worker.health().get("status") == "ok")
            send_events(settings, "payments", [payment(n, occurred_at=ms(just_now())) for n in range(1, 11)])
            worker.wait_until_read(10)


@pytest.mark.slow
def test_a_worker_that_waits_for_its_broker_backs_up_what_is_asked_for_and_ends_on_a_signal(tmp_path: Path) -> None:
    settings = Settings(kafka=f"127.0.0.1:{free_port()}", warehouse=tmp_path / "w.duckdb", web_port=free_port())
    standby = WorkerProcess(settings, web_port=free_port())
    with WorkerProcess(settings) as worker:
        worker.wait(lambda: "No broker at" in worker.log.read_text(), 60)
        ask_for_backup(settings, tmp_path / "copies" / "monday.duckdb", 30)
        with standby:
            standby.wait(lambda: "Standby" in standby.log.read_text())
            # As the first process of a container, which no signal ends that it does not handle.
            assert standby.kill(signal.SIGTERM) == 0
        assert worker.kill(signal.SIGTERM) == 0
        for log in (worker.log, standby.log):
            assert "Traceback" not in log.read_text()
    with open_file(tmp_path / "copies" / "monday.duckdb") as copied:
        assert copied.execute("SELECT count(*) FROM line").fetchall() == [(1,)]


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [0, pytest.param(60, marks=pytest.mark.long)])
def test_a_broker_that_is_killed_and_comes_back_costs_nothing(tmp_path: Path, seconds: float) -> None:
    with EmbeddedBroker(tmp_path / "kafka") as broker:
        settings = Settings(
            kafka=broker.bootstrap,
            warehouse=tmp_path / "line" / "w.duckdb",
            partitions=2,
            publish_seconds=0.2,
            batch_seconds=0.1,
            lateness_seconds=2,
            web_port=free_port(),
        )
        ensure_topics(settings)
        with WorkerProcess(settings) as worker:
            first = [payment(n, occurred_at=ms(just_now())) for n in range(1, 101)]
            send_events(settings, "payments", first)
            worker.wait_until_read(100)
            broker.kill()
            worker.wait(lambda: worker.health().get("status") != "ok", 60)
            time.sleep(seconds)
            # Whoever asks is told how old the newest complete minute is, whether or not anything is published meanwhile.
            age = worker.health().get("data_age_seconds") or 0
            worker.wait(lambda: (worker.health().get("data_age_seconds") or 0) > age)
            broker.start()
            second = [payment(n, occurred_at=ms(just_now())) for n in range(101, 201)]
            send_events(settings, "payments", second)
            worker.wait_until_read(200)
            worker.wait(lambda: worker.health()["status"] == "ok")
            with worker.snapshot() as snapshot:
                assert published_cells(snapshot) == recount(first + second, [])
            # A worker that is to end does not wait for one that is away.
            broker.kill()
            worker.wait(lambda: worker.health().get("status") != "ok", 60)
            assert worker.kill(signal.SIGTERM, 30) == 0
            assert "Error while stopping" not in worker.log.read_text()
