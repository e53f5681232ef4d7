"""A worker whose warehouse, or whose notes in Kafka, are not those of yesterday."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, TopicPartition
from kafka.admin import MemberToRemove
from kafka.errors import NoError
from kafka.structs import OffsetAndMetadata

from streams.demo import environment
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.events_data import ms, payment
from tests.line_process import ROOT, WorkerProcess, just_now, published_cells, recount_topics, send_events


def onnuri(settings: Settings, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command on the line's settings."""
    given = {**os.environ, **environment(settings)}
    return subprocess.run([sys.executable, "-m", "streams.cli", *arguments], env=given, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def payments(low: int, high: int) -> list[dict[str, object]]:
    """Payments with these numbers, each of another amount."""
    return [payment(n, occurred_at=ms(just_now()), market_id=f"m{n % 5}", amount=n) for n in range(low, high)]


def start_unpublished(worker: WorkerProcess) -> None:
    """Start it without what it had published, so that nothing old is looked at."""
    shutil.rmtree(worker.settings.published_folder)
    worker.start()


def assert_exact(worker: WorkerProcess, accepted: int) -> None:
    """All is read, and every cell is what the topics hold."""
    worker.wait_until_read(accepted)
    with worker.snapshot() as snapshot:
        assert published_cells(snapshot) == recount_topics(worker.settings)


@pytest.mark.faults
def test_a_backup_of_a_running_worker_is_restored_and_brought_up_to_date_from_kafka(line: Settings, tmp_path: Path) -> None:
    copy = tmp_path / "copies" / "monday.duckdb"
    with WorkerProcess(line) as worker:
        send_events(line, "payments", payments(1, 301))
        worker.wait_until_read(300)
        made = onnuri(line, "backup", str(copy))
        assert made.returncode == 0, made.stderr
        assert copy.with_suffix(".key").read_bytes() == line.hmac_key()
        assert not list(line.warehouse.parent.glob("*.backup-*"))
        again = onnuri(line, "backup", str(copy))
        assert (again.returncode, "exists already" in again.stderr) == (1, True)
        send_events(line, "payments", payments(301, 501))
        worker.wait_until_read(500)
        held = onnuri(line, "restore", str(copy))
        assert (held.returncode, "held by another process" in held.stderr) == (1, True)
        assert worker.kill(signal.SIGTERM, 60) == 0
        line.warehouse.write_bytes(b"damaged")
        worker.start()
        assert worker.process.wait(60) == 1
        assert "onnuri restore" in worker.log.read_text()
        assert onnuri(line, "restore", str(copy)).returncode == 0
        start_unpublished(worker)
        assert_exact(worker, 500)


@pytest.mark.faults
@pytest.mark.long
def test_what_kafka_has_noted_of_the_group_changes_nothing(line: Settings) -> None:
    chance, tps = random.Random(11), [TopicPartition(line.topic("payments"), n) for n in range(2)]
    with WorkerProcess(line) as worker:
        for round_, noted in enumerate(("ahead", "behind", "missing")):
            send_events(line, "payments", payments(200 * round_ + 1, 200 * round_ + 201))
            worker.wait_until_read(200 * (round_ + 1))
            worker.kill()
            group = f"onnuri-{worker.manifest()['warehouse_id']}"
            admin = KafkaAdminClient(bootstrap_servers=line.kafka)
            # Kafka would take the dead one for a member until its session is over, and let nobody change its notes.
            admin.remove_group_members(group, [MemberToRemove(group_instance_id="owner")])
            if noted == "missing":
                changed = admin.delete_group_offsets(group, tps)
            else:
                offsets = {tp: OffsetAndMetadata(10**6 if noted == "ahead" else chance.randint(0, 50), "", -1) for tp in tps}
                changed = admin.alter_group_offsets(group, offsets)
            assert set(changed.values()) == {NoError}
            admin.close()
            start_unpublished(worker)
        assert_exact(worker, 600)
        assert worker.manifest()["totals"]["duplicate"] == worker.manifest()["totals"]["lost"] == 0


@pytest.mark.faults
@pytest.mark.long
def test_a_backup_older_than_what_kafka_holds_is_refused_with_the_range_unless_the_loss_is_accepted(line: Settings, tmp_path: Path) -> None:
    copy = tmp_path / "monday.duckdb"
    with WorkerProcess(line) as worker:
        send_events(line, "payments", payments(1, 11), partition=0)
        worker.wait_until_read(10)
        assert onnuri(line, "backup", str(copy)).returncode == 0
        send_events(line, "payments", payments(11, 31), partition=0)
        worker.wait_until_read(30)
        # Kafka has been told: at the latest when the worker ends.
        group, tp = f"onnuri-{worker.manifest()['warehouse_id']}", TopicPartition(line.topic("payments"), 0)
        admin = KafkaAdminClient(bootstrap_servers=line.kafka)
        worker.wait(lambda: (found := admin.list_group_offsets(group)[group].get(tp)) and found.offset == 30)
        assert worker.kill(signal.SIGTERM, 60) == 0
        admin.delete_records({tp: 25})
        admin.close()
        assert onnuri(line, "restore", str(copy)).returncode == 0
        worker.start()
        assert worker.process.wait(60) == 1
        assert "payments/0 offsets 10 to 25" in worker.log.read_text()
        worker.settings = line.model_copy(update={"accept_loss": True})
        start_unpublished(worker)
        worker.wait_until_read(15)
        (lost,) = worker.manifest()["lost_ranges"]
        assert (lost["topic"], lost["partition"], lost["from_offset"], lost["to_offset"]) == ("payments", 0, 10, 25)


@pytest.mark.faults
def test_what_went_while_the_worker_was_down_is_told_everywhere_with_its_range(line: Settings) -> None:
    with WorkerProcess(line) as worker:
        send_events(line, "payments", payments(1, 11), partition=1)
        worker.wait_until_read(10)
        worker.kill()
        send_events(line, "payments", payments(11, 31), partition=1)
        admin = KafkaAdminClient(bootstrap_servers=line.kafka)
        admin.delete_records({TopicPartition(line.topic("payments"), 1): 22})
        admin.close()
        worker.start()
        worker.wait(lambda: worker.manifest()["totals"]["lost"])
        worker.wait(lambda: worker.health().get("lost_ranges"))
        (told,) = worker.health()["lost_ranges"]
        assert (told["topic"], told["partition"], told["from_offset"], told["to_offset"]) == ("payments", 1, 10, 22)
        with urllib.request.urlopen(f"http://127.0.0.1:{line.web_port}/metrics", timeout=30) as answer:
            metrics = answer.read().decode()
        assert 'cause="gone before they were read"' in metrics
        assert 'from="10",partition="1",to="22",topic="payments"} 12.0' in metrics
        assert "LOST" in worker.log.read_text() and "offsets 10 to 22" in worker.log.read_text()
        worker.wait_until_read(18)


@pytest.mark.faults
@pytest.mark.long
def test_a_topic_made_anew_while_the_worker_was_down_is_told_and_read_from_its_beginning(line: Settings) -> None:
    with WorkerProcess(line) as worker:
        send_events(line, "payments", payments(1, 11), partition=0)
        worker.wait_until_read(10)
        worker.kill()
        admin = KafkaAdminClient(bootstrap_servers=line.kafka)
        admin.delete_topics([line.topic("payments")])
        admin.close()
        time.sleep(1)
        ensure_topics(line)
        # More than there were before, so that the offsets alone look well.
        send_events(line, "payments", payments(101, 131), partition=0)
        start_unpublished(worker)
        worker.wait_until_read(40)
        assert [(r["topic"], r["from_offset"], r["cause"]) for r in worker.manifest()["lost_ranges"] if r["partition"] == 0] == [
            ("payments", 10, "topic made anew")
        ]
        assert "payments', partition=0) was made anew" in worker.log.read_text()
        with worker.snapshot() as snapshot:
            assert snapshot.query("grand_totals")["approved"].item() == 40
