"""The line from fetched chunks to committed rows: decode on one thread, write on another, never on the event loop.

Nothing here is acknowledged to Kafka before it is committed, and what Kafka is told does not matter: the warehouse's offsets do.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

import duckdb
import numpy as np
from aiokafka.errors import KafkaError as AioKafkaError
from faust.types import TP
from kafka.errors import KafkaError

from streams import chunks
from streams.decoding import EARLIEST_MS, FUTURE_MS, Layout, Span
from streams.events import CONTRACT
from streams.keying import hider
from streams.letters import Letters
from streams.records import Records
from streams.refusing import WINDOW, RefusalLimit
from streams.settings import Settings
from streams.tails import LOOK_BACK
from streams.transport import ChunkConsumer, Fetched, Place, Reach, Start
from warehouse.connection import WHAT_TO_DO, WarehouseDamagedError, damaged, passes
from warehouse.ingest import KEPT, Chunk, Source, Writer
from warehouse.lake_errors import ConflictError

log = logging.getLogger(__name__)
T = TypeVar("T")

BROKER_ERRORS = (KafkaError, AioKafkaError)
"""What the two clients raise."""

UNDECODED_ROWS = 50_000
"""So many records wait for the decoder at the most: some tenths of a second of its work."""

DECODED_TOGETHER = 5_000
"""So many records of a topic are decoded as soon as they are there, fewer when their batch closes: a live stream comes in dozens of small chunks a second,
and what decoding one costs, it costs however few its records are."""


TURNS = 5
"""So often a partition may be read again from one offset before somebody should look: once or twice comes of itself."""


@dataclass
class Together:
    """Chunks of a topic that are decoded together."""

    fetched: list[Fetched] = field(default_factory=list)
    """Until their decoding begins."""
    decoding: asyncio.Task[list[Chunk]] | None = None

    @property
    def weight(self) -> int:
        """How much of the room for waiting records those take whose decoding has not begun."""
        return sum(one.place.weight for one in self.fetched)

    async def chunks(self) -> list[Chunk]:
        """All of them, in the order of their coming, once they are decoded."""
        assert self.decoding is not None, "decoding begins before it is waited for"
        return await self.decoding


class Line:
    """Chunks in, rows out. One to an app; all methods but those named ``_on_…`` are called on the event loop."""

    def __init__(self, settings: Settings, writer: Writer, letters: Letters) -> None:
        self.settings = settings
        self.writer = writer
        self.letters = letters
        self.hide = hider(letters.key)
        self.layouts = {name: Layout(struct) for name, struct in CONTRACT.items()}
        self.database = ThreadPoolExecutor(1, "database")
        self.decoder = ThreadPoolExecutor(1, "decoder")
        self.queue: asyncio.Queue[tuple[float, Place, Together, int]] = asyncio.Queue()
        """Chunks with the time of their coming and their number among those that they are decoded together with."""
        self.undecoded: defaultdict[str, Together] = defaultdict(Together)
        """By topic, what no decoding has begun of."""
        self.room = asyncio.Condition()
        self.rows_waiting = self.rows_undecoded = 0
        self.epoch = 0
        self.applied: dict[TP, tuple[int, int]] = {}
        self.expected: dict[TP, int] = {}
        self.started = False
        self.waiting: dict[object, str] = {}
        """What is tried again just now, by whom."""
        self.again: tuple[TP, int, int] | None = None
        """The partition that was read again last, from which offset, and how often from there."""
        self.committed_at: datetime | None = None
        self.untold: dict[TP, int] = {}
        self.to_tell = asyncio.Event()
        line = writer.line()
        self.raw_ms = settings.raw_days * 86_400_000
        self.refusals = RefusalLimit(settings.refused_share, writer.newest_refusals(WINDOW))
        self.clock_at = line.clock_at
        self.retained_from = line.retained_from

    def now(self) -> datetime | None:
        """The line's clock, aware: the wall live, the scenario's in a replay (None before its first tick)."""
        if self.settings.clock == "wall":
            return datetime.now(UTC)
        return self.clock_at.replace(tzinfo=UTC) if self.clock_at else None

    @property
    def state(self) -> str:
        """``starting``, ``running``, or what is waited for, or what does not come on."""
        if self.again and self.again[2] >= TURNS and self.expected.get(self.again[0]) == self.again[1]:
            return "waiting: {0.topic}/{0.partition} is read from offset {1} again and again".format(*self.again)
        return next(iter(self.waiting.values()), "running" if self.started else "starting")

    def contract_name(self, topic: str) -> str:
        """The contract's name of a topic in Kafka."""
        return topic.removeprefix(self.settings.topic_prefix)

    async def on_database(self, work: Callable[..., T], *arguments: object) -> T:
        """Run on the one thread that may touch the warehouse."""
        return await asyncio.get_running_loop().run_in_executor(self.database, self._on_open_warehouse, work, *arguments)

    def _on_open_warehouse(self, work: Callable[..., T], *arguments: object) -> T:
        if self.writer.worn:
            self.writer.reopen()
        try:
            return work(*arguments)
        except duckdb.Error as error:
            if damaged(error):
                raise WarehouseDamagedError(f"{self.writer.path} is damaged: {error}. {WHAT_TO_DO}") from error
            self.writer.failed(error)
            raise

    async def put(self, fetched: Fetched) -> None:
        """Take one chunk from an agent; waits while a whole batch is waiting, or enough to keep the decoder busy."""
        weight = fetched.place.weight
        async with self.room:
            await self.room.wait_for(lambda: self.rows_waiting < self.settings.batch_rows and self.rows_undecoded < UNDECODED_ROWS)
            self.rows_waiting += weight
            self.rows_undecoded += weight
        topic = fetched.place.tp.topic
        together = self.undecoded[topic]
        self.queue.put_nowait((asyncio.get_running_loop().time(), fetched.place, together, len(together.fetched)))
        together.fetched.append(fetched)
        if together.weight >= DECODED_TOGETHER:
            self._decode(topic)

    def _decode(self, topic: str) -> None:
        """Begin to decode what there is of a topic. The records go as soon as they are decoded: they take several times the memory of their columns."""
        together = self.undecoded.pop(topic)
        together.decoding = asyncio.create_task(self._decoded(together.fetched, together.weight))
        together.fetched = []

    async def _decoded(self, some: list[Fetched], weight: int) -> list[Chunk]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self.decoder, self._on_decoder, some)
        finally:
            async with self.room:
                self.rows_undecoded -= weight
                self.room.notify_all()

    async def next_batch(self) -> list[tuple[Place, Chunk]]:
        """Wait for chunks until there are enough rows, or the first has waited long enough: in the writing before it, or here."""
        loop = asyncio.get_running_loop()
        items = [await self.queue.get()]
        closes = items[0][0] + self.settings.batch_seconds
        while sum(place.weight for _, place, _, _ in items) < self.settings.batch_rows:
            left = closes - loop.time()
            try:
                items.append(await asyncio.wait_for(self.queue.get(), left) if left > 0 else self.queue.get_nowait())
            except (TimeoutError, asyncio.QueueEmpty):
                break
        for topic in list(self.undecoded):
            self._decode(topic)
        batch = [(place, (await together.chunks())[number]) for _, place, together, number in items]
        async with self.room:
            self.rows_waiting -= sum(place.weight for _, place, _, _ in items)
            self.room.notify_all()
        return batch

    async def write(self, batch: list[tuple[Place, Chunk]], consumer: ChunkConsumer) -> None:
        """Admit, commit, tell Kafka. Asks for a new seek where a chunk of our own was dropped or the topic went back."""
        admitted: list[tuple[Place, Chunk]] = []
        reached: dict[TP, tuple[int, int]] = {}
        for place, decoded in batch:
            if place.epoch != self.epoch:
                continue
            sequence, expected = reached.get(place.tp) or (self.applied[place.tp][1], self.expected[place.tp])
            if place.sequence != sequence + 1 or place.first_offset < expected:
                log.warning(
                    "%s: chunk %s at offset %s does not follow chunk %s at %s; reading again",
                    place.tp,
                    place.sequence,
                    place.first_offset,
                    sequence,
                    expected,
                )
                turns = self.again[2] + 1 if self.again and self.again[:2] == (place.tp, expected) else 1
                self.again = place.tp, expected, turns
                await self._commit(admitted)
                await consumer.perform_seek()
                return
            reached[place.tp] = place.sequence, place.next_offset
            admitted.append((place, await self._with_loss(place, decoded, expected, consumer)))
        if not await self._commit(admitted):
            await consumer.perform_seek()

    async def _with_loss(self, place: Place, chunk: Chunk, expected: int, consumer: ChunkConsumer) -> Chunk:
        """Tell offsets that retention took from the holes that transactions leave."""
        if place.first_offset == expected:
            return chunk
        start = (await self.retried(lambda: consumer.earliest_offsets(place.tp))).get(place.tp, 0)
        if start <= expected:
            return chunk
        lost = (expected, min(start, place.first_offset))
        log.error("LOST: %s offsets %s to %s vanished before they were read", place.tp, *lost)
        return replace(chunk, lost=lost)

    async def _commit(self, admitted: list[tuple[Place, Chunk]]) -> bool:
        """Write what was admitted; False where some of it has to be read again."""
        if not admitted:
            return True
        now = self.now() or datetime.now(UTC)
        written = await self.retried(lambda: self.on_database(self._on_database, admitted, now))
        if written is None:
            return True
        if not written:
            return False
        self.committed_at = datetime.now(UTC)
        for place, _ in admitted:
            if place.epoch == self.epoch:
                self.applied[place.tp] = (place.epoch, place.sequence)
                self.expected[place.tp] = place.next_offset
        self.untold.update({place.tp: place.next_offset for place, _ in admitted})
        self.to_tell.set()
        return True

    async def tell_kafka(self, consumer: ChunkConsumer) -> None:
        """Tell Kafka what is committed, beside the writing: the reading thread has no time for it while it unpacks records."""
        await self.to_tell.wait()
        self.to_tell.clear()
        offsets, self.untold = self.untold, {}
        await consumer.thread.commit(offsets)

    def _on_database(self, admitted: list[tuple[Place, Chunk]], now: datetime) -> bool | None:
        """Write a batch; None where a seek has made it old, False where it was decoded before raw events that it needs were let go."""
        # Looked at here, where seeks move the offsets too: between a look anywhere else and the write, a topic could be made anew.
        if any(place.epoch != self.epoch for place, _ in admitted):
            return None
        batch = [chunk for _, chunk in admitted]
        deleted_before = self.writer.line().deleted_before
        if deleted_before is not None and any(chunk.earliest is None or chunk.earliest < deleted_before for chunk in batch):
            return False
        judged = self.refusals.judge(batch)
        try:
            self.writer.apply(batch, now, self.letters.send_dead)
        except ConflictError as error:
            log.warning("Nothing was written, reading on from the lake's offsets: %s", error)
            return False
        self.refusals.keep(judged)
        if any(chunk.topic == "clock" for chunk in batch):
            self.clock_at = self.writer.line().clock_at
        return True

    async def retried(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do it as often as a busy or full disk and an absent broker need to come back; everything else is a bug and stops the worker."""
        pause, mine = 0.5, object()
        try:
            while True:
                try:
                    return await work()
                except (duckdb.Error, *BROKER_ERRORS, OSError) as error:
                    if isinstance(error, duckdb.Error) and not passes(error):
                        raise
                    self.waiting[mine] = f"waiting: {type(error).__name__}"
                    log.warning("Tried again in %.1f s: %s", pause, error)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 10)
        finally:
            self.waiting.pop(mine, None)

    async def start_offsets(self, assignment: set[TP], consumer: ChunkConsumer, topic_ids: Callable[[], Awaitable[Mapping[str, str]]]) -> Start:
        """Where to read on: the warehouse's offsets, checked against what the brokers still have.

        What was decoded before is old from here on, so the offsets given are those that reading goes on from, whatever is under way.
        """
        # Before the ends are: what is read beyond an end of some time ago, by another worker while this one was frozen, does not tell of a topic made anew.
        before = await self.on_database(self.writer.sources)
        ids = await topic_ids()
        starts = await consumer.earliest_offsets(*assignment)
        ends = await consumer.highwaters(*assignment)
        read = {tp: source.next_offset for tp in assignment if (source := before.get((self.contract_name(tp.topic), tp.partition)))}
        short = {tp for tp, offset in read.items() if ends[tp] < offset}
        other = await self._other_logs({tp: (starts[tp], offset) for tp, offset in read.items() if tp not in short}, consumer)
        if short | other and await topic_ids() != ids:
            # Made anew between the questions for its id and its ends, it would have the id of the one and the ends of the other.
            return await self.start_offsets(assignment, consumer, topic_ids)
        again = await self._from_where_again(short | other, starts, ends, consumer)
        epoch, offsets = await self.on_database(self._begin_epoch, assignment, before, starts, ends, other, again, ids, self.now() or datetime.now(UTC))
        self.applied = dict.fromkeys(assignment, (epoch, 0))
        self.expected = dict(offsets)
        return Start(epoch, offsets)

    async def _other_logs(self, read: Mapping[TP, tuple[int, int]], consumer: ChunkConsumer) -> set[TP]:
        """Of partitions with the log's start and the offset to read on from: where what stands before that offset is not what was counted.

        A broker that loses the end of a log, in a power cut or with a leader that was not in sync, gives its offsets to other records. The log's end tells that
        only until it is as long as before. Of payments and errors; the other topics have no ids by which it could be told, or are written by people.
        """
        spans = {
            tp: (max(start, offset - LOOK_BACK), offset) for tp, (start, offset) in read.items() if start < offset and self.contract_name(tp.topic) in KEPT
        }
        if not spans:
            return set()
        try:
            found = await consumer.tails(self.settings.kafka, self.settings.access, spans)
        except BROKER_ERRORS as error:
            # Not tried again: the brokers have just told the ends, so it is these records that cannot be had, and a worker must not stand still
            # for ever because of a damaged record that it has counted already.
            log.warning("What stands in the logs before where they are read on cannot be read, so nobody knows whether it is what was counted: %r", error)
            return set()
        return {tp for tp, records in found.items() if await self._never_counted(tp, records)}

    async def _never_counted(self, tp: TP, records: Records) -> bool:
        """Whether some of these were not, though they are sound and lie before where the partition is read on."""
        (chunk,) = await asyncio.get_running_loop().run_in_executor(self.decoder, self._on_decoder, [Fetched.of(tp, 0, 0, records)])
        offsets = await self.on_database(self.writer.uncounted, chunk)
        if offsets:
            log.error("%s: %s records at the offsets %s to %s were never counted, though it was read beyond them", tp, len(offsets), offsets[0], offsets[-1])
        return bool(offsets)

    async def _from_where_again(self, cut: set[TP], starts: Mapping[TP, int], ends: Mapping[TP, int], consumer: ChunkConsumer) -> dict[TP, int]:
        """Where logs that were cut are read from: their starts, but for what was sent so long ago that it would be refused, most of it having been counted.

        Where nothing younger is left that is the end.
        """
        if not cut:
            return {}
        retained_from = (await self.on_database(self.writer.line)).retained_from
        if retained_from is None:
            return {tp: starts[tp] for tp in cut}
        earliest = int(retained_from.replace(tzinfo=UTC).timestamp() * 1000) - FUTURE_MS
        return {tp: ends[tp] for tp in cut} | await consumer.sent_from(dict.fromkeys(cut, earliest))

    def _begin_epoch(
        self,
        assignment: set[TP],
        before: Mapping[tuple[str, int], Source],
        starts: Mapping[TP, int],
        ends: Mapping[TP, int],
        other: set[TP],
        again: Mapping[TP, int],
        topic_ids: Mapping[str, str],
        now: datetime,
    ) -> tuple[int, dict[TP, int]]:
        self.epoch += 1
        known = self.writer.sources()
        offsets = {}
        for tp in assignment:
            name, topic_id, start = self.contract_name(tp.topic), topic_ids.get(tp.topic), starts[tp]
            source, earlier = known.get((name, tp.partition)), before.get((name, tp.partition))
            if source is None:
                source = Source(0 if self._added(name, topic_id, known) else start, topic_id, None)
                self.writer.begin_source(name, tp.partition, source.next_offset, topic_id)
            # Of a log of which nothing was read, none is missed, whichever topic it was.
            if source.next_offset and source.topic_id and topic_id and source.topic_id != topic_id:
                log.error("LOST: %s was made anew; reading it from its beginning, offset %s. Read before: up to %s", tp, start, source.next_offset)
                self.writer.move_source(name, tp.partition, start, topic_id, "topic made anew", now)
                offsets[tp] = start
            elif earlier and self._cut_back(earlier, source, ends[tp], other=tp in other):
                offsets[tp] = again[tp]
                log.error("LOST: the end of %s is gone; reading it again from offset %s. Read before: up to %s", tp, offsets[tp], source.next_offset)
                self.writer.move_source(name, tp.partition, offsets[tp], topic_id or source.topic_id, "log cut back", now)
            elif start > source.next_offset:
                log.error("LOST: %s offsets %s to %s vanished before they were read", tp, source.next_offset, start)
                self.writer.move_source(name, tp.partition, start, topic_id, "gone before they were read", now)
                offsets[tp] = start
            else:
                if topic_id and source.topic_id != topic_id:
                    self.writer.name_topic(name, tp.partition, topic_id)
                offsets[tp] = source.next_offset
        if self.writer.hold({(self.contract_name(tp.topic), tp.partition): offset for tp, offset in offsets.items()}):
            self.refusals = RefusalLimit(self.settings.refused_share, self.writer.newest_refusals(WINDOW))
        return self.epoch, offsets

    @staticmethod
    def _cut_back(earlier: Source, source: Source, end: int, *, other: bool) -> bool:
        """Whether a log lacks what was read of it before it was looked at, and no other worker has gone back since."""
        return end < min(earlier.next_offset, source.next_offset) or (other and source.next_offset >= earlier.next_offset)

    def _added(self, name: str, topic_id: str | None, known: Mapping[tuple[str, int], Source]) -> bool:
        """Whether a partition that is not known was added to a topic that is read already. Of several workers at their first start one comes before the others."""
        others = [source.topic_id for (topic, _), source in known.items() if topic == name]
        return not self.writer.shared and bool(others) and others[0] == topic_id

    async def pass_markers(self, consumer: ChunkConsumer, reaches: Mapping[TP, Reach]) -> None:
        """Note how far partitions are read where nothing but markers of transactions and what they took back comes after the last record.

        Else retention, when it takes those, would seem to have taken records, and other workers would not see that they are read to the end.
        """
        further = {tp: reach for tp, reach in reaches.items() if reach.handed_out == self.applied.get(tp) and reach.position > self.expected[tp]}
        if not further:
            return
        # Asked after the positions: a position may also have jumped over what retention took, and that is a loss.
        starts = await consumer.earliest_offsets(*further)
        passed = {tp: reach for tp, reach in further.items() if tp in starts and starts[tp] <= self.expected[tp]}
        noted = await self.retried(lambda: self.on_database(self._pass_markers, passed))
        if noted:
            self.expected.update({tp: max(self.expected[tp], reach.position) for tp, reach in passed.items() if reach.handed_out[0] == self.epoch})

    def _pass_markers(self, passed: Mapping[TP, Reach]) -> bool:
        if any(reach.handed_out[0] != self.epoch for reach in passed.values()):
            return False
        try:
            self.writer.pass_markers({(self.contract_name(tp.topic), tp.partition): reach.position for tp, reach in passed.items()})
        except ConflictError as error:
            # The next batch finds it out too, and reads on from there.
            log.info("Not noted: %s", error)
            return False
        return True

    async def broken(self, consumer: ChunkConsumer) -> list[TP]:
        """Look at what the brokers have: partitions that go on in another way than the warehouse knows them. Of the others, what markers passed is noted."""
        # The starts first: a log's start that moves on after the positions were looked at is for the next time.
        starts = await consumer.earliest_offsets(*consumer.assignment())
        reaches = await consumer.reaches()
        found = self.discontinuities(reaches, starts)
        if not found:
            await self.pass_markers(consumer, reaches)
        return found

    def discontinuities(self, reaches: Mapping[TP, Reach], starts: Mapping[TP, int]) -> list[TP]:
        """Partitions that the broker no longer has as the warehouse knows them: records gone, or a log that ends before what was read.

        Only where nothing is under way: what was fetched in time is not lost.
        """
        still = [tp for tp, reach in reaches.items() if reach.handed_out == self.applied.get(tp)]
        return [tp for tp in still if starts.get(tp, 0) > self.expected[tp] or reaches[tp].end < self.expected[tp]]

    def _on_decoder(self, some: Sequence[Fetched]) -> list[Chunk]:
        """Decode chunks of one topic together."""
        topic = self.contract_name(some[0].place.tp.topic)
        retained_from = self.retained_from
        return chunks.decoded(some, topic, self.layouts[topic], self.hide, lambda records: self._plausible(records, retained_from), retained_from)

    def _plausible(self, records: Records, retained_from: datetime | None) -> Span:
        """The event times that records may have: by when each was sent, so that a topic gives the same whenever it is read."""
        sent, now = records.times, int(datetime.now(UTC).timestamp() * 1000)
        if self.settings.clock == "wall":
            # A producer's clock may be ahead of ours.
            sent = np.minimum(sent, now)
        # Or never have been set, and some tell no time.
        latest = np.where(sent >= EARLIEST_MS, sent, now)
        # What is retained bounds it once something is: what is older may be known and gone.
        earliest = np.maximum(EARLIEST_MS, sent - self.raw_ms) if retained_from is None else int(retained_from.replace(tzinfo=UTC).timestamp() * 1000)
        return Span(earliest, latest)

    def close(self) -> None:
        """Finish what the threads are doing, then let the warehouse go."""
        self.decoder.shutdown(wait=True, cancel_futures=True)
        self.database.submit(self.letters.close).result()
        self.database.submit(self.writer.close).result()
        self.database.shutdown()
