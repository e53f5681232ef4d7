"""What every test may ask for: one real Kafka for the whole run, and topics of its own in it."""

import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from streams.broker import EmbeddedBroker
from streams.ports import free_port
from streams.settings import Settings
from streams.topics import ensure_topics
from tests.postgres_server import Postgres

FOR_TESTS = {"ONNURI_TEST_KAFKA", "ONNURI_TEST_PUBLISHED", "ONNURI_TEST_PICTURES", "ONNURI_DATA"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, a share in each process: at the end nobody then waits for a minute's test that is somebody else's last."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    marked = [(item, any(map(item.get_closest_marker, ("faults", "slow")))) for item in items]
    long, others = [item for item, slow in marked if slow], [item for item, slow in marked if not slow]
    size = -(-len(others) // processes)
    items[:] = [item for number in range(processes) for item in [*long[number::processes], *others[number * size : (number + 1) * size]]]


@pytest.fixture(autouse=True)
def _settings_of_the_shell_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ONNURI_") and name not in FOR_TESTS]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def kafka() -> Iterator[EmbeddedBroker | SimpleNamespace]:
    """A Kafka that lasts for the whole run: an embedded one, or the one that ONNURI_TEST_KAFKA names (with a ``bootstrap`` only)."""
    named = os.environ.get("ONNURI_TEST_KAFKA")
    if named:
        yield SimpleNamespace(bootstrap=named)
        return
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def topics(request: pytest.FixtureRequest) -> str:
    """A ``topic_prefix`` that no other test has."""
    return f"{re.sub('[^a-zA-Z0-9_]', '-', request.node.name)[:80]}-{secrets.token_hex(4)}."


def line_of(kafka: EmbeddedBroker, topics: str, folder: Path, partitions: int) -> Settings:
    """Settings of a line of a test's own, whose topics are there."""
    settings = Settings(
        kafka=kafka.bootstrap,
        topic_prefix=topics,
        warehouse=folder / "line" / "w.duckdb",
        partitions=partitions,
        publish_seconds=0.2,
        batch_seconds=0.1,
        lateness_seconds=2,
        web_port=free_port(),
    )
    ensure_topics(settings)
    return settings


@pytest.fixture
def line(kafka: EmbeddedBroker, topics: str, tmp_path: Path) -> Settings:
    """A line with topics of two partitions."""
    return line_of(kafka, topics, tmp_path, 2)


@pytest.fixture
def narrow_line(kafka: EmbeddedBroker, topics: str, tmp_path: Path) -> Settings:
    """A line with topics of one partition, where records come in the order of sending."""
    return line_of(kafka, topics, tmp_path, 1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL that lasts for the whole run; a test makes a database of its own in it."""
    # Its owner is another user, who may not enter pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="onnuri-postgres-"))
    folder.chmod(0o755)
    try:
        with Postgres(folder / "server") as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)
