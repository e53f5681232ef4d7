"""A worker whose disk is full, and then is not."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer

from streams.broker import EmbeddedBroker
from streams.ports import free_port
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.events_data import encoded, ms, payment
from tests.line_process import WorkerProcess, just_now, published_cells, recount_topics

DISK_KB = 100_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with little room."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None or subprocess.call([mount, "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", folder], stderr=subprocess.DEVNULL):
        pytest.skip("a disk of its own for the test needs root and the right to mount a tmpfs")
    yield folder
    subprocess.call(["umount", "--lazy", folder])


@pytest.mark.faults
@pytest.mark.slow
def test_a_full_disk_costs_nothing_and_is_answered_for_meanwhile(kafka: EmbeddedBroker, topics: str, small_disk: Path) -> None:
    settings = Settings(
        kafka=kafka.bootstrap,
        topic_prefix=topics,
        warehouse=small_disk / "w.duckdb",
        partitions=2,
        batch_rows=5_000,
        publish_seconds=0.2,
        lateness_seconds=2,
        web_port=free_port(),
    )
    ensure_topics(settings)
    at, sent = ms(just_now()), 20_000
    ballast = small_disk / "ballast"
    with WorkerProcess(settings) as worker:
        worker.wait(lambda: worker.health().get("published_at"))
        subprocess.call(["dd", "if=/dev/zero", f"of={ballast}", "bs=64k"], stderr=subprocess.DEVNULL)
        producer = KafkaProducer(bootstrap_servers=settings.kafka, acks="all", linger_ms=20, batch_size=200_000)
        for number in range(1, sent + 1):
            event = payment(number, occurred_at=at - number % 600_000, market_id=f"m{number % 500}")
            producer.send(settings.topic("payments"), key=event["market_id"].encode(), value=encoded(event))
        producer.flush()
        producer.close()
        worker.wait(lambda: worker.health().get("status", "").startswith("waiting"), 60)
        # Long enough to have been tried again more than once.
        time.sleep(5)
        assert worker.health()["status"].startswith("waiting")
        assert worker.manifest()["totals"]["accepted"] < sent
        ballast.unlink()
        worker.wait_until_read(sent)
        worker.wait(lambda: worker.health()["status"] == "ok")
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount_topics(settings)
