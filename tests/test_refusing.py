"""Most of a topic refused: the worker stops before it has let everything go to the dead letters."""

import re
import signal
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from streams.refusing import LEAST, WINDOW, MostlyRefusedError, RefusalLimit
from streams.settings import Settings
from tests.events_data import NOON, chunk, encoded, ms, payment
from tests.line_process import WorkerProcess, just_now, published_cells, records_of, recount
from tests.test_worker import send_events
from warehouse.ingest import Writer

GOOD, BAD = True, False


def batch(sound: Sequence[bool], first: int = 0, topic: str = "payments", partition: int = 0):
    events: Iterable[object] = [payment(first + n + 1) if good else b"?" for n, good in enumerate(sound)]
    return chunk(topic, events, first_offset=first, partition=partition)


def stops(limit: RefusalLimit, *chunks) -> bool:
    try:
        limit.keep(limit.judge(chunks))
    except MostlyRefusedError:
        return True
    return False


def test_half_may_be_refused_and_more_stops():
    assert not stops(RefusalLimit(0.5, {}), batch([GOOD, BAD] * LEAST))
    assert stops(RefusalLimit(0.5, {}), batch([GOOD, BAD] * LEAST + [BAD]))


def test_a_few_odd_records_of_a_quiet_topic_stop_nothing():
    limit = RefusalLimit(0.5, {})
    assert not any(stops(limit, batch([BAD] * 9, first=n * 9)) for n in range(LEAST // 9))
    assert stops(limit, batch([BAD] * 9, first=1_000))


def test_only_the_newest_records_count():
    limit = RefusalLimit(0.5, {})
    assert not stops(limit, batch([GOOD] * 5_000))
    assert not stops(limit, batch([BAD] * (WINDOW // 2), first=5_000))
    assert stops(limit, batch([BAD], first=5_000 + WINDOW // 2))


def test_bad_records_at_the_end_of_a_long_chunk_are_seen_and_those_that_are_over_are_not_held_against_it():
    assert stops(RefusalLimit(0.5, {}), batch([GOOD] * 5_000 + [BAD] * (WINDOW // 2 + 1)))
    assert not stops(RefusalLimit(0.5, {}), batch([BAD] * 900 + [GOOD] * 5_000))


def test_one_partition_that_is_all_bad_does_not_stop_the_others():
    assert not stops(RefusalLimit(0.5, {}), batch([BAD] * 5_000), *(batch([GOOD] * 2_000, partition=n) for n in range(1, 4)))


def test_topics_are_judged_each_by_itself_and_their_partitions_together():
    assert not stops(RefusalLimit(0.5, {}), batch([BAD] * 200), batch([GOOD] * 250, partition=1))
    assert stops(RefusalLimit(0.5, {}), batch([GOOD] * 250), chunk("errors", [b"?"] * 200))


def test_what_was_not_written_is_not_remembered():
    limit = RefusalLimit(0.5, {})
    with pytest.raises(MostlyRefusedError):
        limit.judge([batch([BAD] * 200)])
    assert not stops(limit, batch([BAD] * (LEAST - 1)))


def test_a_limit_of_one_lets_everything_go_to_the_dead_letters():
    assert not stops(RefusalLimit(1, {}), batch([BAD] * 5_000))


def test_the_message_says_which_why_and_what_to_do():
    with pytest.raises(MostlyRefusedError) as error:
        RefusalLimit(0.5, {}).judge([batch([BAD] * 150, partition=3)])
    said = str(error.value)
    assert all(word in said for word in ("150 of the last 150 records of payments", "malformed 150", "payments/3/149", "ONNURI_REFUSED_SHARE=1"))
    # What is said of one record ends as a sentence, whether it came with a full stop or without.
    assert re.search(r"[^. ]\. Nothing of this batch was written", said)


def test_a_worker_that_is_started_again_knows_what_was_refused_before(tmp_path: Path):
    writer = Writer(tmp_path / "w.duckdb", NOON)
    writer.apply([batch([GOOD] * 30 + [BAD] * 20), batch([BAD] * 20, partition=1)], NOON, lambda _: None)
    assert writer.newest_refusals(WINDOW) == {("payments", 0): (50, 20), ("payments", 1): (20, 20)}
    assert writer.newest_refusals(10) == {("payments", 0): (10, 10), ("payments", 1): (10, 10)}
    again = RefusalLimit(0.5, writer.newest_refusals(WINDOW))
    writer.close()
    # Each start would let as many go as nothing is said about, if it began to count anew.
    assert stops(again, batch([BAD] * 40, first=50))


def test_what_was_let_through_on_purpose_is_not_held_against_what_comes_after():
    limit = RefusalLimit(0.5, {("payments", 0): (1_000, 900)})
    assert not stops(limit, batch([GOOD] * 5 + [BAD]))


@pytest.mark.slow
def test_a_worker_stops_loudly_keeps_its_place_and_goes_on_exactly_when_it_is_mended(narrow_line: Settings):
    at = ms(just_now())
    good = [payment(n, occurred_at=at) for n in range(1, 101)]
    # A producer that has begun to send seconds.
    wrong = [payment(n, occurred_at=at // 1000) for n in range(101, 701)]
    later = [payment(n, occurred_at=at) for n in range(701, 801)]
    with WorkerProcess(narrow_line) as worker:
        send_events(narrow_line, "payments", good)
        worker.wait_until_read(100)
        send_events(narrow_line, "payments", wrong)
        for _ in range(2):
            assert worker.process is not None
            assert worker.process.wait(30) == 1
            said = worker.log.read_text()
            assert "MostlyRefusedError: STOPPED: " in said
            assert "implausible_time" in said
            worker.log.unlink()
            worker.start()
        # Nothing of what was refused is past, beyond what is said nothing about, however often the worker was started.
        assert len(records_of(narrow_line.kafka, narrow_line.topic("dead-letters"))) <= 100
    send_events(narrow_line, "payments", later)
    with WorkerProcess(narrow_line, refused_share=1) as mended:
        mended.wait_until_read(200)
        mended.kill(signal.SIGTERM)
    letters = records_of(narrow_line.kafka, narrow_line.topic("dead-letters"))
    topic = narrow_line.topic("payments")
    assert {key: value for key, value, _ in letters} == {f"{topic}/0/{100 + n}".encode(): encoded(event) for n, event in enumerate(wrong)}
    with WorkerProcess(narrow_line) as worker:
        send_events(narrow_line, "payments", [payment(801, occurred_at=at), b"?"])
        worker.wait_until_read(201)
        with worker.snapshot() as snapshot:
            assert published_cells(snapshot) == recount([*good, *later, payment(801, occurred_at=at)], [])
        assert worker.manifest()["totals"]["refused"] == 601
