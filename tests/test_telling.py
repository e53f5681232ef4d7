"""What happened to incidents is sent beside everything else, and forgotten only when it was. The brokers are made up."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, UnknownTopicOrPartitionError

from streams.letters import Letters
from streams.line import Line
from streams.settings import Settings
from streams.telling import LONGEST_PAUSE, TELL_SECONDS, Telling
from tests.events_data import NOON
from warehouse import alerts
from warehouse.ingest import Writer
from warehouse.telling import note, noted


class Brokers:
    """Take what is sent, unless they are told to raise, or to wait for ``may_go_on``."""

    def __init__(self) -> None:
        self.raising: Exception | None = None
        self.took: list[Any] = []
        self.reached, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()

    def send(self, changes: Sequence[Any]) -> None:
        self.reached.set()
        assert self.may_go_on.wait(30)
        if self.raising:
            raise self.raising
        self.took += [change["incident_id"] for change in changes]


@pytest.fixture
def brokers() -> Brokers:
    return Brokers()


@pytest.fixture
def telling(tmp_path: Path, brokers: Brokers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telling]:
    settings = Settings(warehouse=tmp_path / "w.duckdb", alert_url="http://ops.example.org", alert_secret="a secret of enough length")
    line = Line(settings, Writer(settings.warehouse, NOON), Letters(settings))
    line.started = True
    made = Telling(settings, line.writer, line)
    monkeypatch.setattr(made.letters, "send_incidents", brokers.send)
    yield made
    made.close()
    line.close()


def happen(telling: Telling, name: str) -> None:
    connection = telling.writer.connection
    connection.execute(
        "INSERT INTO incident BY NAME SELECT $1 AS incident_id, 'nation' AS scope, now()::TIMESTAMP AS onset_at, now()::TIMESTAMP AS detected_at, "
        "now()::TIMESTAMP AS last_seen_at, 1 AS version",
        [name],
    )
    note(connection, name, "opened")


def queued(telling: Telling) -> int:
    return alerts.waiting(telling.writer.connection)


def test_what_was_sent_is_forgotten_and_its_alert_queued(telling: Telling, brokers: Brokers) -> None:
    happen(telling, "i1")
    happen(telling, "i2")
    assert asyncio.run(telling.once()) == TELL_SECONDS
    assert brokers.took == ["i1", "i2"]
    assert noted(telling.writer.connection) == (0, [])
    assert queued(telling) == 2
    asyncio.run(telling.once())
    assert brokers.took == ["i1", "i2"]


@pytest.mark.parametrize("error", [UnknownTopicOrPartitionError(), KafkaTimeoutError(), ConnectionResetError()])
def test_what_is_not_taken_is_kept_and_tried_after_longer_and_longer_and_that_is_said(telling: Telling, brokers: Brokers, error: Exception) -> None:
    happen(telling, "i1")
    brokers.raising = error
    pauses = [asyncio.run(telling.once()) for _ in range(12)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == LONGEST_PAUSE
    assert telling.line.state == "waiting: topic incidents"
    assert queued(telling) == 0
    brokers.raising = None
    assert asyncio.run(telling.once()) == TELL_SECONDS
    assert (telling.line.state, brokers.took, queued(telling)) == ("running", ["i1"], 1)
    happen(telling, "i2")
    brokers.raising = error
    assert asyncio.run(telling.once()) == 1
    # Another worker leads now and sends it.
    telling.stand_by()
    assert telling.line.state == "running"


def test_while_brokers_take_their_time_the_database_does_not_wait_and_what_happens_meanwhile_is_sent_next(telling: Telling, brokers: Brokers) -> None:
    happen(telling, "i1")
    brokers.may_go_on.clear()

    async def scenario() -> None:
        sending = asyncio.create_task(telling.once())
        await asyncio.to_thread(brokers.reached.wait, 30)
        await telling.line.on_database(happen, telling, "i2")
        assert not sending.done()
        brokers.may_go_on.set()
        await sending
        await telling.once()

    asyncio.run(asyncio.wait_for(scenario(), 60))
    assert brokers.took == ["i1", "i2"]
    assert noted(telling.writer.connection) == (0, [])


def test_what_was_sent_before_partitions_were_dealt_anew_is_sent_once_more(telling: Telling, brokers: Brokers) -> None:
    happen(telling, "i1")
    brokers.may_go_on.clear()

    async def scenario() -> None:
        sending = asyncio.create_task(telling.once())
        await asyncio.to_thread(brokers.reached.wait, 30)
        telling.line.epoch += 1
        brokers.may_go_on.set()
        await sending
        await telling.once()

    asyncio.run(asyncio.wait_for(scenario(), 60))
    assert brokers.took == ["i1", "i1"]
    assert queued(telling) == 1
