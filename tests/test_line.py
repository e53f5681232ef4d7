"""The line without Kafka: what is read again, and what two seeks at once do. The brokers' answers are made up."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import duckdb
import pytest
from aiokafka.errors import KafkaTimeoutError
from aiokafka.util import commit_structure_validate
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP

import streams.line
import streams.transport
from streams.alignment import Alignment
from streams.doubts import Doubts
from streams.letters import Letters
from streams.line import TURNS, Line
from streams.records import Records
from streams.settings import Settings
from streams.sharing import Standing
from streams.tails import LOOK_BACK, Spans
from streams.tending import Tending
from streams.transport import ChunkConsumer, ChunkThread, Fetched, Reach, Start
from tests.events_data import NOON, encoded, ms, payment
from warehouse.access import PLAIN
from warehouse.closing import Closing
from warehouse.connection import lacks_memory, open_file, passes
from warehouse.ingest import MARGIN, Chunk, Writer

TOPIC = TP("payments", 0)


class Brokers:
    """A consumer that only tells where logs begin and end, and what stands before an offset, and is asked to seek."""

    def __init__(self) -> None:
        self.starts = {TOPIC: 0}
        self.ends = {TOPIC: 1_000}
        self.seeks = 0
        self.log: dict[int, object] = {}
        """What stands in the log of ``TOPIC`` by offset, as far as somebody looks."""
        self.refuse_tails = False
        self.sent_since = 0
        self.pauses: Iterator[float] = iter(())
        self.id = "id"
        self.asked = 0
        """How often somebody asked for the topic's id."""

    async def ids(self) -> dict[str, str]:
        self.asked += 1
        return {"payments": self.id}

    async def earliest_offsets(self, *tps: TP) -> Mapping[TP, int]:
        await asyncio.sleep(next(self.pauses, 0))
        return {tp: self.starts[tp] for tp in tps}

    async def highwaters(self, *tps: TP) -> Mapping[TP, int]:
        return {tp: self.ends[tp] for tp in tps}

    async def tails(self, _bootstrap: str, _access: object, spans: Spans) -> dict[TP, Records]:
        if self.refuse_tails:
            raise KafkaTimeoutError
        found = {tp: [n for n in range(*span) if n in self.log] for tp, span in spans.items()}
        return {tp: records_at(numbers[0], *(self.log[n] for n in numbers)) for tp, numbers in found.items() if numbers}

    async def sent_from(self, sent: Mapping[TP, int]) -> dict[TP, int]:
        return dict.fromkeys(sent, self.sent_since) if self.sent_since else {}

    async def perform_seek(self) -> None:
        self.seeks += 1


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    settings = Settings(warehouse=tmp_path / "w.duckdb", batch_seconds=0.01)
    made = Line(settings, Writer(settings.warehouse, NOON), Letters(settings))
    yield made
    made.close()


def records_at(first_offset: int, *events: object) -> Records:
    return Records.of([SimpleNamespace(offset=first_offset + n, timestamp=ms(NOON), key=None, value=encoded(event)) for n, event in enumerate(events)])


def fetched(epoch: int, sequence: int, first_offset: int, *events: object) -> Fetched:
    return Fetched.of(TOPIC, epoch, sequence, records_at(first_offset, *events))


async def carried(line: Line, brokers: Brokers, chunk: Fetched) -> None:
    """Decode and write one chunk, as agents and tasks do."""
    await line.put(chunk)
    await line.write(await line.next_batch(), cast("ChunkConsumer", brokers))


async def sought(line: Line, brokers: Brokers) -> Start:
    return await line.start_offsets({TOPIC}, cast("ChunkConsumer", brokers), brokers.ids)


def counts(line: Line) -> tuple[int, int]:
    """Payments that minutes count, and the offset."""
    found = line.writer.connection.execute("SELECT coalesce(sum(approved), 0), (SELECT next_offset FROM source_offset) FROM market_minute").fetchall()
    return found[0]


@pytest.mark.parametrize("retired", ["before it was written", "within the margin"])
def test_a_chunk_that_was_decoded_before_what_it_may_repeat_was_let_go_is_read_again(line: Line, retired: str) -> None:
    old = payment(1, occurred_at=ms(NOON))
    days = timedelta(days=line.settings.raw_days)
    # The limit moves by an hour: what lies under it is refused, but still kept. Or by so much that the first event is gone.
    later = NOON + days + (MARGIN + timedelta(hours=2) if retired == "before it was written" else timedelta(hours=2))

    letters: list[str] = []
    line.letters.send_dead = lambda refused: letters.extend(one.reason for _, _, one in refused)  # type: ignore[method-assign]

    async def play() -> tuple[int, tuple[int, int]]:
        brokers = Brokers()
        start = await sought(line, brokers)
        await carried(line, brokers, fetched(start.epoch, 1, 0, old))
        await line.put(fetched(start.epoch, 2, 1, old))
        batch = await line.next_batch()
        # Decoded while the limit was another one, written after it moved.
        closing = Closing(line.writer, timedelta(), line.settings.raw_days)
        line.retained_from = closing.retire(later.replace(tzinfo=None), later)
        await line.write(batch, cast("ChunkConsumer", brokers))
        found = counts(line)
        if brokers.seeks:
            start = await sought(line, brokers)
            assert start.offsets == {TOPIC: 1}
            await carried(line, brokers, fetched(start.epoch, 1, 1, old))
        return brokers.seeks, found

    line.retained_from = NOON.replace(tzinfo=None) - timedelta(hours=1)
    line.writer.connection.execute("UPDATE line SET retained_from = ?", [line.retained_from])
    if retired == "before it was written":
        assert asyncio.run(play()) == (1, (1, 1))
        assert letters == ["too_old"]
    else:
        assert asyncio.run(play()) == (0, (1, 2))
        assert not letters
    assert counts(line) == (1, 2)


def test_a_live_streams_small_chunks_are_decoded_together_and_a_backlogs_at_once(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.line, "DECODED_TOGETHER", 4)
    calls: list[list[int]] = []
    decode = line._on_decoder

    def noted(some: Sequence[Fetched]) -> list[Chunk]:
        calls.append([one.place.sequence for one in some])
        return decode(some)

    line._on_decoder = noted  # type: ignore[method-assign]

    async def play() -> list[int]:
        start = await sought(line, Brokers())
        for sequence in (1, 2, 3):
            await line.put(fetched(start.epoch, sequence, sequence, payment(sequence)))
        small = await line.next_batch()
        assert calls == [[1, 2, 3]]
        await line.put(fetched(start.epoch, 4, 4, *map(payment, range(4, 8))))
        # Before anybody asks for a batch.
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
        assert calls[1:] == [[4]]
        return [chunk.first_offset for _, chunk in [*small, *await line.next_batch()]]

    assert asyncio.run(play()) == [1, 2, 3, 4]
    assert (line.rows_waiting, line.rows_undecoded) == (0, 0)


def test_a_bug_in_decoding_ends_the_reading_of_every_chunk_that_it_is_of(line: Line) -> None:
    def broken(_: Sequence[Fetched]) -> list[Chunk]:
        raise LookupError("a bug")

    line._on_decoder = broken  # type: ignore[method-assign]

    async def play() -> None:
        start = await sought(line, Brokers())
        await line.put(fetched(start.epoch, 1, 0, payment(1)))
        await line.put(fetched(start.epoch, 2, 1, payment(2)))
        await line.next_batch()

    with pytest.raises(LookupError, match="a bug"):
        asyncio.run(play())


def test_what_only_markers_come_after_is_noted_so_that_their_going_is_no_loss(line: Line) -> None:
    """A transaction's marker stands at offset 2; retention takes first it, and then what was never read."""

    async def play() -> None:
        brokers = Brokers()
        start = await sought(line, brokers)
        await carried(line, brokers, fetched(start.epoch, 1, 0, payment(1), payment(2)))
        reaches = {TOPIC: Reach(position=3, end=3, handed_out=(start.epoch, 1))}
        # Not while a chunk is under way.
        await line.pass_markers(cast("ChunkConsumer", brokers), {TOPIC: replace(reaches[TOPIC], handed_out=(start.epoch, 2))})
        assert (line.expected[TOPIC], counts(line)) == (2, (2, 2))
        await line.pass_markers(cast("ChunkConsumer", brokers), reaches)
        assert (line.expected[TOPIC], counts(line)) == (3, (2, 3))
        assert not line.discontinuities(reaches, {TOPIC: 3})
        assert (await sought(line, brokers)).offsets == {TOPIC: 3}
        # The position has jumped to where the log begins by now.
        brokers.starts[TOPIC] = 9
        reaches = {TOPIC: Reach(position=9, end=9, handed_out=(line.epoch, 0))}
        await line.pass_markers(cast("ChunkConsumer", brokers), reaches)
        assert line.discontinuities(reaches, brokers.starts) == [TOPIC]
        await sought(line, brokers)

    asyncio.run(play())
    assert line.writer.connection.execute("SELECT from_offset, to_offset FROM lost_range").fetchall() == [(3, 9)]


def test_what_retention_took_of_an_added_partition_before_it_was_read_is_a_loss_and_of_a_first_start_none(line: Line) -> None:
    added = TP("payments", 1)

    async def play() -> Mapping[TP, int]:
        brokers = Brokers()
        brokers.starts[TOPIC] = 4
        await sought(line, brokers)
        brokers.starts[added], brokers.ends[added] = 500, 600
        return (await line.start_offsets({TOPIC, added}, cast("ChunkConsumer", brokers), brokers.ids)).offsets

    assert asyncio.run(play()) == {TOPIC: 4, added: 500}
    assert line.writer.connection.execute("SELECT partition, from_offset, to_offset FROM lost_range").fetchall() == [(1, 0, 500)]


def test_what_is_read_after_the_ends_were_looked_at_is_no_topic_made_anew(line: Line) -> None:
    async def play() -> tuple[int, int]:
        brokers = Brokers()
        start = await sought(line, brokers)
        ends = brokers.highwaters

        async def slow_to_tell(*tps: TP) -> Mapping[TP, int]:
            # As where this worker is frozen with the answer, and another one reads on.
            brokers.ends = {TOPIC: 0}
            told = await ends(*tps)
            await carried(line, brokers, fetched(start.epoch, 1, 0, payment(1), payment(2)))
            return told

        brokers.highwaters = slow_to_tell  # type: ignore[method-assign]
        read_on = (await sought(line, brokers)).offsets[TOPIC]
        brokers.highwaters, brokers.ends = ends, {TOPIC: 1}  # type: ignore[method-assign]
        return read_on, (await sought(line, brokers)).offsets[TOPIC]

    assert asyncio.run(play()) == (2, 0), "one that ends before what was read is"


COUNTED: dict[int, object] = dict(enumerate([*map(payment, range(1, 5)), payment(2, occurred_at=ms(NOON) - 60_000), payment(5, amount=0), b"{"]))
"""A log that ends with an event that came twice, with another time, and with two that are refused."""


def sought_again(line: Line, log: Mapping[int, object], **told: object) -> tuple[int, list[tuple[Any, ...]]]:
    """Read ``COUNTED``, then seek where the log holds this, and the brokers tell that: where it is read on, and what is told as lost."""
    line.letters.send_dead = lambda _: None  # type: ignore[method-assign]
    line.settings = line.settings.model_copy(update={"refused_share": 1.0})

    async def play() -> int:
        brokers = Brokers()
        start = await sought(line, brokers)
        await carried(line, brokers, fetched(start.epoch, 1, 0, *COUNTED.values()))
        assert counts(line) == (4, 7)
        brokers.log = dict(log)
        for name, value in told.items():
            setattr(brokers, name, value)
        return (await sought(line, brokers)).offsets[TOPIC]

    offset = asyncio.run(play())
    return offset, line.writer.connection.execute("SELECT from_offset, to_offset, cause FROM lost_range").fetchall()


NEW = {n: payment(100 + n) for n in (4, 5, 6)}


@pytest.mark.parametrize("last", range(8))
def test_a_log_that_holds_what_was_counted_is_no_other_one_whatever_it_ends_with(line: Line, last: int) -> None:
    """Where nothing stands there, after markers or retention, as well."""
    assert sought_again(line, dict(list(COUNTED.items())[last:])) == (7, [])


@pytest.mark.parametrize("new", [[4], [4, 5, 6]])
def test_a_log_that_was_cut_back_and_grew_beyond_what_was_read_is_read_again(line: Line, new: list[int]) -> None:
    assert sought_again(line, {**COUNTED, **{n: NEW[n] for n in new}}) == (0, [(7, 0, "log cut back")])


def test_what_stands_where_something_was_refused_tells_nothing(line: Line) -> None:
    assert sought_again(line, {**COUNTED, 6: NEW[6]}) == (7, [])


def test_a_log_that_ends_before_what_was_read_is_called_cut_back_where_the_topic_is_the_same(line: Line) -> None:
    assert sought_again(line, {}, ends={TOPIC: 6}, starts={TOPIC: 2}) == (2, [(7, 2, "log cut back")])


def test_where_nobody_can_tell_what_stands_there_it_is_read_on(line: Line) -> None:
    assert sought_again(line, NEW, refuse_tails=True) == (7, [])


def test_what_is_older_than_what_is_kept_tells_nothing_and_is_not_read_again(line: Line) -> None:
    """Else most of the log would be refused as too old, and the worker would stop."""
    assert sought_again(line, COUNTED) == (7, [])
    brokers = Brokers()
    brokers.log, brokers.sent_since = {4: NEW[4]}, 3

    def kept_from(moment: datetime) -> int:
        line.retained_from = moment.replace(tzinfo=None)
        line.writer.connection.execute("UPDATE line SET retained_from = ?", [line.retained_from])
        return asyncio.run(sought(line, brokers)).offsets[TOPIC]

    assert kept_from(NOON + timedelta(minutes=1)) == 7
    assert kept_from(NOON) == 3
    # All that is left was sent before: it is read on from its end.
    brokers.sent_since, brokers.ends = 0, {TOPIC: 2}
    assert kept_from(NOON) == 2


def test_only_so_much_is_looked_at_and_nothing_before_the_logs_start(line: Line) -> None:
    asked: list[Spans] = []

    async def play() -> None:
        brokers = Brokers()
        tails = brokers.tails

        async def noted(bootstrap: str, access: object, spans: Spans) -> dict[TP, Records]:
            asked.append(spans)
            return await tails(bootstrap, access, spans)

        brokers.tails = noted  # type: ignore[method-assign]
        start = await sought(line, brokers)
        await carried(line, brokers, fetched(start.epoch, 1, 0, *map(payment, range(1, LOOK_BACK + 21))))
        for first in (0, 50, LOOK_BACK + 20):
            brokers.starts[TOPIC] = first
            await sought(line, brokers)

    asyncio.run(play())
    assert asked == [{TOPIC: (20, LOOK_BACK + 20)}, {TOPIC: (50, LOOK_BACK + 20)}]


@pytest.mark.parametrize("seed", range(5))
def test_seeks_at_once_leave_reader_and_writer_with_the_same_number(line: Line, seed: int) -> None:
    chance = random.Random(seed)
    brokers = Brokers()
    brokers.pauses = iter([chance.random() / 50 for _ in range(8)])
    reader = SimpleNamespace(epoch=0)

    async def seek_from(start: Start) -> None:
        await asyncio.sleep(chance.random() / 50)
        reader.epoch = start.epoch

    async def begin_look() -> None:
        await asyncio.sleep(0)

    async def call_thread(work: Any, *arguments: Any) -> Any:
        return await work(*arguments)

    async def start_offsets(_: set[TP]) -> Start:
        return await sought(line, brokers)

    consumer = ChunkConsumer.__new__(ChunkConsumer)
    consumer.assignment = lambda: {TOPIC}  # type: ignore[method-assign]
    consumer.transport = cast("Any", SimpleNamespace(start_offsets=start_offsets))
    consumer.app = cast("Any", SimpleNamespace(consumer_generation_id=1))
    consumer._thread = cast("Any", SimpleNamespace(begin_look=begin_look, seek_from=seek_from, call_thread=call_thread))

    async def play() -> None:
        consumer.seeking = asyncio.Lock()
        await asyncio.gather(*(consumer.seek_to_committed() for _ in range(4)))
        await carried(line, brokers, fetched(reader.epoch, 1, 0, payment(1)))

    asyncio.run(play())
    assert (reader.epoch, line.epoch) == (4, 4)
    assert consumer.sought == 1
    assert counts(line) == (1, 1)


def test_a_chunk_that_waited_behind_another_batch_waits_no_longer(line: Line) -> None:
    line.settings = line.settings.model_copy(update={"batch_seconds": 3_600.0})

    async def play() -> int:
        start = await sought(line, Brokers())
        for number in (1, 2):
            await line.put(fetched(start.epoch, number, number - 1, payment(number)))
        arrived_at, *first = await line.queue.get()
        second = await line.queue.get()
        # The first came in more than an hour ago.
        for item in ((arrived_at - 3_601, *first), second):
            line.queue.put_nowait(item)  # type: ignore[arg-type]
        return len(await asyncio.wait_for(line.next_batch(), 60))

    assert asyncio.run(play()) == 2


def test_a_chunk_that_was_dropped_on_the_way_is_read_again(line: Line) -> None:
    async def play() -> Brokers:
        brokers = Brokers()
        start = await sought(line, brokers)
        await carried(line, brokers, fetched(start.epoch, 1, 0, payment(1)))
        await carried(line, brokers, fetched(start.epoch, 3, 2, payment(3)))
        return brokers

    brokers = asyncio.run(play())
    assert (brokers.seeks, counts(line)) == (1, (1, 1))


def test_what_was_fetched_before_a_seek_is_never_written_after_it(line: Line) -> None:
    async def play() -> Brokers:
        brokers = Brokers()
        before = await sought(line, brokers)
        await line.put(fetched(before.epoch, 1, 0, payment(1)))
        batch = await line.next_batch()
        await sought(line, brokers)
        await line.write(batch, cast("ChunkConsumer", brokers))
        return brokers

    brokers = asyncio.run(play())
    assert (brokers.seeks, counts(line)) == (0, (0, 0))


def test_offsets_of_partitions_that_are_no_longer_ours_are_not_told_and_end_nothing() -> None:
    told: list[dict[Any, Any]] = []

    class Aiokafka:
        async def commit(self, offsets: dict[Any, Any]) -> None:
            # As aiokafka begins: it takes an empty commit for a mistake.
            told.append(commit_structure_validate(offsets))

    async def tell(*ours: TP) -> bool:
        thread = ChunkThread.__new__(ChunkThread)
        thread._ensure_consumer = Aiokafka  # type: ignore[method-assign, assignment]
        thread.assignment = lambda: set(ours)  # type: ignore[method-assign]
        return await thread._commit({TOPIC: 5, TP("errors", 1): 7})

    assert asyncio.run(tell())
    assert told == []
    assert asyncio.run(tell(TOPIC))
    assert [{tp.topic: noted.offset for tp, noted in offsets.items()} for offsets in told] == [{"payments": 5}]


@pytest.mark.parametrize(("read", "lost"), [(0, []), (1, [("topic made anew",)])])
def test_of_a_topic_of_which_nothing_was_read_nothing_is_lost_where_it_is_made_anew(line: Line, read: int, lost: list[tuple[str]]) -> None:
    async def play() -> dict[TP, int]:
        brokers = Brokers()
        start = await sought(line, brokers)
        if read:
            await carried(line, brokers, fetched(start.epoch, 1, 0, payment(1)))
        brokers.id = "another"
        return dict((await sought(line, brokers)).offsets)

    assert asyncio.run(play()) == {TOPIC: 0}
    assert line.writer.connection.execute("SELECT cause FROM lost_range").fetchall() == lost
    assert line.writer.sources()["payments", 0].topic_id == "another"


def test_a_topic_that_is_made_anew_while_it_is_asked_for_is_that_and_no_log_that_was_cut_back(line: Line) -> None:
    class Meanwhile(Brokers):
        async def ids(self) -> dict[str, str]:
            told = await super().ids()
            if self.asked == 2:
                # Just after the id of the old one was told.
                self.id, self.ends = "another", {TOPIC: 0}
            return told

    async def play() -> dict[TP, int]:
        brokers = Meanwhile()
        start = await sought(line, brokers)
        # Where nothing is in doubt it is asked for once.
        assert brokers.asked == 1
        await carried(line, brokers, fetched(start.epoch, 1, 0, payment(1)))
        return dict((await sought(line, brokers)).offsets)

    assert asyncio.run(play()) == {TOPIC: 0}
    assert line.writer.connection.execute("SELECT cause FROM lost_range").fetchall() == [("topic made anew",)]
    assert line.writer.sources()["payments", 0].topic_id == "another"


def test_a_partition_that_does_not_come_on_is_no_good_health_until_it_does(line: Line) -> None:
    async def play() -> list[str]:
        brokers = Brokers()
        start = await sought(line, brokers)
        line.started = True
        told = []
        for turn in range(TURNS):
            # A number is missing each time.
            await carried(line, brokers, fetched(start.epoch, 2, 0, payment(1)))
            told.append(line.state)
            assert brokers.seeks == turn + 1
            start = await sought(line, brokers)
        await carried(line, brokers, fetched(start.epoch, 1, 0, payment(1)))
        return [*told, line.state]

    told = asyncio.run(play())
    assert told == [*["running"] * (TURNS - 1), "waiting: payments/0 is read from offset 0 again and again", "running"]


def test_what_comes_of_another_leader_or_of_one_that_is_back_is_looked_at_once_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tp, other = TP("payments", 0), TP("payments", 1)
    thread: Any = ChunkThread.__new__(ChunkThread)
    thread.doubts, thread.sequences, thread.alignment = Doubts(), {}, Alignment()
    thread._state, thread.assignment, thread._ensure_consumer = lambda _: None, set, SimpleNamespace
    thread.consumer = SimpleNamespace(transport=SimpleNamespace(aligned=set()))
    connections = {(1, 0): object(), (2, 0): object(), (1, 1): object(), ("bootstrap", 0): object()}
    leads = {"payments": {0: 1, 1: 2}}
    cluster = SimpleNamespace(leader_for_partition=lambda tp: leads[tp.topic][tp.partition])
    consumer: Any = SimpleNamespace(_client=SimpleNamespace(_conns=connections, cluster=cluster))
    coming: list[tuple[TP, tuple[int, int]]] = []

    async def fetched_records(*_: object, **__: object) -> dict[TP, list[Records]]:
        of, leaders = coming.pop()
        return {of: [replace(records_at(0, payment(1)), leaders=leaders)]}

    monkeypatch.setattr(AIOKafkaConsumerThread, "_fetch_records", fetched_records)

    def gap(*leaders: int, of: TP = tp) -> bool:
        """Whether the chunk of records by these leaders, first and last, has a number that does not follow."""
        before = thread.sequences.get(of, 0)
        coming.append((of, (leaders[0], leaders[-1])))
        asyncio.run(thread._fetch_records(consumer, {tp, other}))
        return thread.sequences[of] != before + 1

    async def stood_before(*_: object) -> dict[TP, Records]:
        # What another leader took may lie beyond what a look brings.
        return {tp: replace(records_at(0, payment(1)), leaders=(3, 3))}

    monkeypatch.setattr(streams.transport, "tails", stood_before)

    def look(meanwhile: Callable[[], object] = lambda: None) -> None:
        asyncio.run(thread.begin_look())
        asyncio.run(thread.tails("", PLAIN, {}))
        meanwhile()
        asyncio.run(thread.seek_from(Start(1, {})))

    # What the first fetch brings is held against what was looked at when it was begun; a change within a fetch is one of the log as it is.
    look()
    assert [gap(3), gap(3, 4), gap(4), gap(5, of=other)] == [False] * 4
    assert [gap(5), gap(5), gap(5, of=other)] == [True, True, False]
    look()
    assert [gap(5), gap(5, 6), gap(6)] == [False] * 3
    # One that changes while another is looked at was not looked at itself: the chunk that tells is dropped with the seek.
    gap(7)
    look(lambda: gap(8, of=other))
    assert [gap(7), gap(8, of=other)] == [False, True]
    look()
    # The topic was made anew, which is found out in another way; its leaders are counted from 0.
    assert [gap(0), gap(1), gap(8, of=other)] == [False, True, False]
    look()
    # A broker that is back at once leads as before; the connection tells. The group's own, and one that is closed and not made anew, tell nothing.
    connections[1, 1], connections["bootstrap", 0], kept = object(), object(), connections.pop((2, 0))
    assert [gap(1), gap(8, of=other)] == [False, False]
    connections[1, 0], connections[2, 0] = object(), kept
    assert [gap(1), gap(8, of=other)] == [True, False]
    look()
    assert [gap(1), gap(8, of=other)] == [False, False]


def test_too_little_memory_is_known_in_a_statement_and_at_commit(tmp_path: Path) -> None:
    met: list[tuple[str, duckdb.Error]] = []
    for megabytes in range(2, 8):
        with open_file(tmp_path / f"{megabytes}.duckdb", memory_limit=f"{megabytes}MB") as connection:
            where = "a statement"
            try:
                connection.begin()
                connection.execute("INSERT INTO payment (event_id, merchant_id) SELECT uuid(), 's' || i FROM range(20000) t(i)")
                where = "COMMIT"
                connection.commit()
            except duckdb.Error as error:
                met.append((where, error))
    assert {(where, type(error)) for where, error in met} == {("a statement", duckdb.OutOfMemoryException), ("COMMIT", duckdb.TransactionException)}
    assert not [error for _, error in met if not (lacks_memory(error) and passes(error))]
    assert not lacks_memory(duckdb.TransactionException("TransactionContext Error: Failed to commit: Could not write file"))


@pytest.mark.parametrize("megabytes", [4, 6])
def test_a_batch_that_needs_more_memory_gets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, megabytes: int) -> None:
    monkeypatch.setattr(Writer, "memory_mb", megabytes)
    settings = Settings(warehouse=tmp_path / "w.duckdb", batch_seconds=0.01)
    line = Line(settings, Writer(settings.warehouse, NOON), Letters(settings))
    events = [payment(n, merchant_id=f"s{n}") for n in range(20_000)]

    async def play() -> tuple[int, int]:
        brokers = Brokers()
        start = await sought(line, brokers)
        await carried(line, brokers, fetched(start.epoch, 1, 0, *events))
        return counts(line)

    try:
        assert asyncio.run(asyncio.wait_for(play(), 60)) == (20_000, 20_000)
        assert line.writer.memory_mb > megabytes
    finally:
        line.close()


def test_publishing_that_needs_more_memory_gets_it(line: Line) -> None:
    tending = Tending(line.settings, line.writer, line)
    usual = line.writer.memory_mb

    def lacking(*_: object) -> dict[str, Any]:
        raise duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block of size 256.0 KiB")

    async def play() -> None:
        real, tending._on_publisher = tending._on_publisher, lacking  # type: ignore[method-assign]
        await tending._publish(NOON, Standing([], {}, set()))
        assert line.state == "waiting: OutOfMemoryException"
        tending._on_publisher = real  # type: ignore[method-assign]
        await tending._publish(NOON, Standing([], {}, set()))

    asyncio.run(play())
    tending.close()
    assert line.state == "starting"
    assert tending.manifest is not None
    assert line.writer.memory_mb == 2 * usual
