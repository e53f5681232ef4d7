"""A broker that lost the end of a log, and gave its offsets to others; and logs that end in every other way, which are the same as before."""

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from faust.types import TP

from streams import unpacking
from streams.broker import EmbeddedBroker
from streams.settings import Settings
from streams.tails import tails
from tests.conftest import line_of
from tests.events_data import encoded, failure, ms, payment
from tests.line_process import WorkerProcess, just_now, published_cells, recount, send_events
from tests.test_worker_restored import start_unpublished
from warehouse.access import PLAIN


def payments(low: int, high: int) -> list[dict[str, object]]:
    """Payments with these numbers, each of another amount."""
    return [payment(n, occurred_at=ms(just_now()), market_id=f"m{n % 5}", amount=n) for n in range(low, high)]


@pytest.fixture
def own_line(tmp_path: Path) -> Iterator[tuple[EmbeddedBroker, Settings]]:
    """A line with topics of one partition, and a broker of its own, which may be damaged."""
    with EmbeddedBroker(tmp_path / "kafka") as broker:
        yield broker, line_of(broker, "cut-back.", tmp_path, 1)


def cut_back(broker: EmbeddedBroker, topic: str, offset: int) -> None:
    """Kill the broker, and take from the topic's log what a power cut would take that was not on the disk yet: the batches from this offset on."""
    broker.kill()
    assert broker.folder is not None
    (log,) = (file for file in broker.folder.rglob("*.log") if file.parent.name == f"{topic}-0")
    data, at = log.read_bytes(), 0
    while int.from_bytes(data[at : at + 8]) < offset:
        at += 12 + int.from_bytes(data[at + 8 : at + 12])
    assert 0 < at < len(data), "nothing is cut"
    log.write_bytes(data[:at])
    broker.start()


@pytest.mark.faults
def test_a_log_that_lost_its_end_and_grew_beyond_it_is_read_again(own_line: tuple[EmbeddedBroker, Settings]) -> None:
    broker, line = own_line
    first, errors, later, last = payments(1, 101), [failure(n, occurred_at=ms(just_now())) for n in range(1, 31)], payments(1001, 1081), payments(2001, 2061)
    others, after = payments(3001, 3050), payments(4001, 4011)
    lost = [("payments", 100, 0, "log cut back")]

    def found(worker: WorkerProcess) -> list[tuple[object, ...]]:
        return sorted((r["topic"], r["from_offset"], r["to_offset"], r["cause"]) for r in worker.manifest()["lost_ranges"])

    with WorkerProcess(line) as worker:
        send_events(line, "payments", first[:60])
        send_events(line, "payments", first[60:])
        send_events(line, "errors", errors)
        worker.wait_until_read(130)
        # While it is down.
        assert worker.kill(signal.SIGTERM, 60) == 0
        cut_back(broker, line.topic("payments"), 60)
        # More than were lost, so that the log's end looks well.
        send_events(line, "payments", later)
        worker.start()
        worker.wait_until_read(210)
        assert found(worker) == lost
        assert "were never counted" in worker.log.read_text()
        # Once more, and nothing is found.
        send_events(line, "payments", last[:50])
        worker.wait_until_read(260)
        assert worker.kill(signal.SIGTERM, 60) == 0
        start_unpublished(worker)
        worker.wait(lambda: (m := worker.manifest()) and m["lag"] == 0 and worker.health().get("status") == "ok")
        assert found(worker) == lost
        # While it is frozen, before it has read anything: it goes on before the group has missed it, and all that tells is that it has to connect anew.
        assert worker.process is not None
        worker.process.send_signal(signal.SIGSTOP)
        cut_back(broker, line.topic("payments"), 140)
        send_events(line, "payments", [*others, *last[50:]])
        worker.process.send_signal(signal.SIGCONT)
        worker.wait_until_read(319)
        assert found(worker) == [*lost, ("payments", 190, 0, "log cut back")]
        assert "Connected anew to {1}" in worker.log.read_text()
        # A broker that lost nothing, and what it took first is more than a look at the log brings.
        broker.stop()
        broker.start()
        send_events(line, "payments", [b"x" * 70_000])
        send_events(line, "payments", after)
        worker.wait_until_read(329)
        assert len(found(worker)) == 2
        # What the log lost was counted, and stays.
        with worker.snapshot() as snapshot:
            assert snapshot.query("grand_totals")["approved"].item() == 299
            assert published_cells(snapshot) == recount([*first, *later, *last, *others, *after], errors)


def in_transactions(line: Settings, topic: str, *sent: tuple[list[dict[str, object]], bool]) -> None:
    """Send these events, each list in a transaction of its own that is committed or taken back."""

    async def send() -> None:
        made = AIOKafkaProducer(bootstrap_servers=line.kafka, transactional_id=line.topic_prefix)
        await made.start()
        try:
            for events, committed in sent:
                await made.begin_transaction()
                for event in events:
                    await made.send_and_wait(line.topic(topic), encoded(event), partition=0)
                await (made.commit_transaction() if committed else made.abort_transaction())
        finally:
            await made.stop()

    asyncio.run(send())


@pytest.mark.faults
def test_however_a_log_ends_it_is_taken_for_the_one_that_was_read(narrow_line: Settings) -> None:
    line, again = narrow_line, payments(2, 3)
    ends = {
        "a duplicate": lambda: send_events(line, "payments", again),
        "a refused record": lambda: send_events(line, "payments", [b"{"]),
        "an event too old to be kept": lambda: send_events(line, "payments", [payment(50, occurred_at=ms(just_now()) - 100 * 86_400_000)]),
        "a committed transaction's marker": lambda: in_transactions(line, "payments", (payments(60, 62), True)),
        "a transaction taken back": lambda: in_transactions(line, "payments", (payments(70, 73), False)),
    }
    with WorkerProcess(line) as worker:
        send_events(line, "payments", payments(1, 11))
        worker.wait_until_read(10)
        # What one was read of at a start is looked at at the next.
        for how, end in [*ends.items(), ("nothing new", lambda: None)]:
            assert worker.kill(signal.SIGTERM, 60) == 0
            end()
            start_unpublished(worker)
            worker.wait(lambda: (m := worker.manifest()) and m["lag"] == 0 and worker.health().get("status") == "ok")
            assert worker.manifest()["lost_ranges"] == [], how
        totals = worker.manifest()["totals"]
        assert (totals["accepted"], totals["duplicate"], totals["refused"]) == (12, 1, 2)
        assert "never counted" not in worker.log.read_text()


def test_what_stands_before_an_offset_is_read_without_markers_and_what_was_taken_back_and_at_once(narrow_line: Settings) -> None:
    send_events(narrow_line, "payments", payments(1, 201))
    in_transactions(narrow_line, "payments", (payments(201, 203), True), (payments(203, 205), False))
    send_events(narrow_line, "errors", [failure(n) for n in range(1, 4)])
    paid, failed = (TP(narrow_line.topic(name), 0) for name in ("payments", "errors"))

    def found(**spans: tuple[int, int]) -> dict[str, list[int]]:
        began = time.monotonic()
        with unpacking.installed():
            read = asyncio.run(tails(narrow_line.kafka, PLAIN, {{"paid": paid, "failed": failed}[name]: span for name, span in spans.items()}))
        print(f"{time.monotonic() - began:.2f} s")
        assert time.monotonic() - began < 5
        return {"paid" if tp == paid else "failed": records.offsets.tolist() for tp, records in read.items()}

    # 200 records, two with their marker at 202, two with theirs at 205.
    assert found(paid=(106, 206), failed=(0, 2)) == {"paid": list(range(106, 202)), "failed": [0, 1]}
    assert found(paid=(202, 206), failed=(1, 3)) == {"failed": [1, 2]}
    assert found(paid=(50, 60)) == {"paid": list(range(50, 60))}
