"""Several workers on one lake, killed, frozen, cut off from their catalog; each time every row is counted anew from the topics."""

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

import psutil
import pytest

from streams.settings import Settings
from streams.simulator import load_scenario, play
from streams.simulator.playing import Slice
from streams.simulator.sending import send
from streams.topics import ensure_topics
from tests.lake_line import LakeLine, lake_line
from tests.line_process import WorkerProcess, records_of

pytestmark = pytest.mark.faults

BEYOND_A_SESSION = 24
"""Seconds; the session is 20."""

TOPICS = ("payments", "errors", "service_load", "commands")


def frozen(line: LakeLine, number: int, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> str:
    """Freeze a worker; what it logs in the seconds after its waking."""
    worker = line.workers[number]
    worker.process.send_signal(signal.SIGSTOP)
    meanwhile()
    time.sleep(seconds)
    said = worker.log.stat().st_size
    worker.process.send_signal(signal.SIGCONT)
    time.sleep(3)
    return worker.log.read_bytes()[said:].decode(errors="replace")


def misfortunes(line: LakeLine, chance: random.Random) -> dict[str, Callable[[int], object]]:
    """What may happen to one worker or to the catalog of all."""

    def restart(_: int) -> None:
        line.postgres.stop("immediate")
        time.sleep(chance.uniform(0, 3))
        line.postgres.start()

    def cut(number: int) -> None:
        line.cables[number].cut()
        time.sleep(chance.uniform(0, 5))
        line.cables[number].mend()

    def mute(number: int) -> None:
        line.cables[number].mute()
        time.sleep(chance.uniform(1, 15))
        line.cables[number].mend()

    return {
        "kill": lambda number: line.workers[number].kill(),
        "freeze": lambda number: frozen(line, number, BEYOND_A_SESSION),
        "blink": lambda number: frozen(line, number, chance.uniform(0.1, 3)),
        "restart": restart,
        "cut": cut,
        "mute": mute,
    }


def begun(line: LakeLine, scale: float) -> Iterator[Slice]:
    """Workers that have read the market list, so that every payment finds its market's region, as in the recount; gives the rest of a launch day with dirt in it."""
    settings = line.settings
    first, *rest = play(load_scenario("launch-day", scale=scale), dirty=0.01)
    assert "commands" in first.records, "the scenario begins with the list of markets"
    told = {"commands": first.records["commands"]}
    send(iter([replace(first, records=told)]), settings.kafka, settings.topic)
    line.workers[0].start()
    commands = len(records_of(settings.kafka, settings.topic("commands")))
    line.wait(lambda: line.counted("commands") >= commands)
    for worker in line.workers[1:]:
        worker.start()
    line.wait(lambda: all(worker.health().get("status") == "ok" for worker in line.workers))
    # Reports of load are many and of little interest: those of every twentieth slice are enough.
    kept = (one if number % 20 == 0 else replace(one, records={t: r for t, r in one.records.items() if t != "service_load"}) for number, one in enumerate(rest))
    return chain([replace(first, records={topic: records for topic, records in first.records.items() if topic not in told})], kept)


def sent(line: LakeLine, rest: Iterator[Slice]) -> int:
    """Send it; returns how many records there are in all."""
    settings = line.settings
    send(rest, settings.kafka, settings.topic)
    return sum(len(records_of(settings.kafka, settings.topic(topic))) for topic in TOPICS)


def paced(rest: Iterator[Slice], happened: Counter[str], records: int, most: int) -> Iterator[Slice]:
    """As much of it as ``records`` for each misfortune so far and for the next one, and the rest after ``most``: none comes when all is read."""
    given = 0
    for one in rest:
        while given > records * (happened.total() + 1) and happened.total() < most:
            time.sleep(0.1)
        yield one
        given += sum(map(len, one.records.values()))


def go_through(line: LakeLine, sending: Future[int], happened: Counter[str], seed: int, most: int) -> Counter[str]:
    """One misfortune after another, noted in ``happened``, until there were ``most`` and all is sent and read; how often workers were started again."""
    chance, again = random.Random(seed), Counter[str]()
    possible = misfortunes(line, chance)
    while happened.total() < most:
        time.sleep(chance.uniform(0.5, 4))
        what, number = chance.choice(list(possible)), chance.randrange(len(line.workers))
        if line.workers[number].process.poll() is None:
            print(f"{what} {number} at {line.counted():,}", flush=True)
            possible[what](number)
            happened[what] += 1
        again["started again"] += line.revive()
    total = sending.result()
    line.wait(lambda: line.counted() >= total, 600)
    return again


def assert_exact(line: LakeLine, total: int) -> None:
    """No record is missed or counted twice, and every row of every table is as the topics have it."""
    progress = line.ask("SELECT topic, partition, next_offset, accepted, duplicate, refused, lost FROM source_offset ORDER BY ALL")
    assert (line.counted(), line.differences()) == (total, {}), progress
    ends = {(topic, number): end for topic in TOPICS for number, end in line.ends(topic).items()}
    assert {(t, p): n for t, p, n in line.ask("SELECT topic, partition, next_offset FROM source_offset WHERE topic <> 'clock'") if (t, p) in ends} == ends


LONG = pytest.mark.long


@pytest.mark.parametrize(
    ("workers", "scale", "rows", "seed", "most", "records"),
    [(2, 0.03, 2_000, 1, 4, 20_000), pytest.param(2, 0.4, 20_000, 2, 20, 50_000, marks=LONG), pytest.param(4, 0.4, 10_000, 3, 24, 40_000, marks=LONG)],
)
def test_workers_on_one_lake_lose_and_repeat_nothing_whatever_happens_to_them(kafka, topics, workers, scale, rows, seed, most, records):
    base = Settings(kafka=kafka.bootstrap, topic_prefix=topics, clock="replay", batch_rows=rows, batch_seconds=0.2)
    ensure_topics(base)
    with lake_line(base, workers) as line, ThreadPoolExecutor(1) as sender:
        happened = Counter[str]()
        sending = sender.submit(sent, line, paced(begun(line, scale), happened, records, most))
        again = go_through(line, sending, happened, seed, most)
        total = sending.result()
        print(f"{total:,} records: {dict(happened + again)}")
        assert_exact(line, total)
    assert total > records * most, "misfortunes came after all was read"


def stopped(worker: WorkerProcess) -> bool:
    """Whether it is frozen."""
    return psutil.Process(worker.process.pid).status() == psutil.STATUS_STOPPED


@pytest.mark.parametrize("seconds", [BEYOND_A_SESSION, pytest.param(45, marks=LONG)], ids=["conflict", "let-go"])
def test_a_worker_frozen_before_its_commit_writes_nothing_when_it_wakes(kafka, topics, seconds):
    """With all rows of a batch written and only the COMMIT to come: the others have read on, or PostgreSQL has let go of the transaction."""
    base = Settings(kafka=kafka.bootstrap, topic_prefix=topics, clock="replay", batch_rows=500, batch_seconds=0.2)
    ensure_topics(base)
    with lake_line(base, 2) as line:
        asleep = line.workers[1]
        asleep.fault = "stop written 12"
        total = sent(line, begun(line, 0.03))
        line.wait(lambda: stopped(asleep))
        before, since = unread(line), time.monotonic()
        # The partitions are the other's once the session is over. Until it has read on of each one that the frozen batch may be of, a COMMIT would be rightful.
        line.wait(lambda: time.monotonic() - since > seconds and not before & unread(line))
        snapshot, said = line.counted(), asleep.log.stat().st_size
        asleep.process.send_signal(signal.SIGCONT)
        line.wait(lambda: refused_in(asleep.log.read_bytes()[said:].decode(errors="replace")))
        assert line.counted() >= snapshot
        line.wait(lambda: line.counted() >= total, 300)
        assert_exact(line, total)


def unread(line: LakeLine) -> set[tuple[str, int, int]]:
    """Where reading stands in each partition that has more to read: topic, number, next offset."""
    ends = {(topic, number): end for topic in (*TOPICS, "clock") for number, end in line.ends(topic).items()}
    return {(t, p, n) for t, p, n in line.ask("SELECT topic, partition, next_offset FROM source_offset") if n < ends.get((t, p), 0)}


def refused_in(log: str) -> bool:
    """Whether a worker says that a batch of its was not written."""
    return "Nothing was written" in log or "Not noted" in log or "Tried again" in log
