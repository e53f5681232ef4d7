"""Faust's transport, with one Faust event for each fetched chunk of a partition, starting at the warehouse's offsets.

Stock Faust carries one record at a time through tasks and queues, at 6-7 thousand a second. Here the consumer's thread wraps what one
fetch brought for a partition into one event; agents, supervisors, rebalancing and the web side stay Faust's own.
"""

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self, cast

import aiokafka
from aiokafka.client import ConnectionGroup
from aiokafka.consumer.fetcher import READ_UNCOMMITTED
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams import unpacking
from streams.alignment import Alignment
from streams.doubts import Doubts
from streams.records import Records
from streams.tails import Spans, tails
from warehouse.access import Access

FETCH_BYTES = 65_536
"""So much is waited for, half a second at the longest."""

LONG_ROW = 1024
"""Bytes from where a record takes the room of several."""


@dataclass(frozen=True)
class Place:
    """Where a chunk stands: consecutive records of one partition, ``first_offset`` up to but not ``next_offset``.

    ``epoch`` is the number of the seek before it and ``sequence`` counts the chunks since: one that Faust drops on the way leaves a gap in it.
    """

    tp: TP
    epoch: int
    sequence: int
    first_offset: int
    next_offset: int
    rows: int
    size: int = 0
    """Bytes of its values."""

    @property
    def weight(self) -> int:
        """How much of the room for waiting records it takes: its rows, more where they are very long."""
        return max(self.rows, self.size // LONG_ROW)


@dataclass(frozen=True)
class Fetched:
    """A chunk before it is decoded."""

    place: Place
    records: Records

    @classmethod
    def of(cls, tp: TP, epoch: int, sequence: int, records: Records) -> Self:
        """The chunk of these records, at least one."""
        size = sum(len(part) for part in chain(records.keys, records.values) if part)
        return cls(Place(tp, epoch, sequence, int(records.offsets[0]), records.offset + 1, len(records), size), records)


@dataclass(frozen=True)
class Reach:
    """How far a partition has been read. ``position`` passes transaction markers; ``end`` is that of the log: what an open transaction holds back is still to come."""

    position: int
    end: int
    handed_out: tuple[int, int]


@dataclass(frozen=True)
class Start:
    """Where to read on, and the number that chunks from there carry."""

    epoch: int
    offsets: Mapping[TP, int]


StartOffsets = Callable[[set[TP]], Awaitable[Start]]


class ChunkThread(driver.AIOKafkaConsumerThread):
    """The thread that owns aiokafka's consumer."""

    epoch = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sequences: dict[TP, int] = {}
        self.alignment = Alignment()
        self.doubts = Doubts()
        """A seek does not change what is known there."""

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        unpacking.install()
        consumer = super()._create_worker_consumer(transport)
        # Faust asks for read_committed only together with its own exactly_once, which cannot cover DuckDB.
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        if cast("ChunkTransport", transport).together:
            # The same numbers of all topics to the same worker: what a failure counts depends on payments and errors of its market.
            consumer._partition_assignment_strategy = [RangePartitionAssignor]  # noqa: SLF001
        return consumer

    def _create_consumer(self, loop: Any) -> aiokafka.AIOKafkaConsumer:  # noqa: ANN401
        consumer = super()._create_consumer(loop)
        # An empty partition then shows its end twice a second. A live stream comes in some chunks a second, not in hundreds, each of which has its price.
        consumer._fetch_max_wait_ms, consumer._fetch_min_bytes = 500, FETCH_BYTES  # noqa: SLF001
        return consumer

    async def on_thread_stop(self) -> None:
        """Close aiokafka's consumer. Where a broker is away it waits for requests that it has cancelled itself, and ends as they do: nobody would learn that the thread has stopped."""
        with suppress(asyncio.CancelledError):
            await super().on_thread_stop()

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109  # Faust's signature
        max_records: int | None = None,
    ) -> dict[TP, list[Fetched]]:
        alignment = self.alignment
        wanted = alignment.wanted(active_partitions, self._unread(active_partitions), time.monotonic())
        fetched = await super()._fetch_records(consumer, wanted, timeout, max_records)
        self._look_at_connections(consumer, active_partitions)
        chunks: dict[TP, list[Fetched]] = {}
        for tp, batches in (fetched or {}).items():
            if batches:
                records = Records.together(batches)
                self.doubts.came(tp, int(records.offsets[0]), records.leaders)
                # A gap has the line seek, and so look, before it reads on.
                self.sequences[tp] = self.sequences.get(tp, 0) + (2 if tp in self.doubts.partitions else 1)
                chunks[tp] = [Fetched.of(TP(tp.topic, tp.partition), self.epoch, self.sequences[tp], records)]
        aligned = cast("ChunkTransport", self.consumer.transport).aligned
        alignment.brought({tp: int(one.records.times[-1]) for tp, (one,) in chunks.items() if tp.topic in aligned}, time.monotonic())
        return chunks

    def _look_at_connections(self, consumer: aiokafka.AIOKafkaConsumer, active: Iterable[TP]) -> None:
        client = consumer._client  # noqa: SLF001
        made = {node: connection for (node, group), connection in client._conns.items() if group == ConnectionGroup.DEFAULT and isinstance(node, int)}  # noqa: SLF001
        self.doubts.connected(made, active, lambda tp: client.cluster.leader_for_partition(driver.ensure_aiokafka_TP(tp)))

    async def begin_look(self) -> None:
        """From here on logs are looked at."""
        self.doubts.begin_look()

    def _unread(self, active: Iterable[TP]) -> set[TP]:
        """Partitions that hold more than was handed out, as far as the last fetch of each has told."""
        states = {tp: self._state(tp) for tp in active}
        return {tp for tp, state in states.items() if state and state.lso is not None and state._position < state.lso}  # noqa: SLF001

    def _state(self, tp: TP) -> Any | None:  # noqa: ANN401  # aiokafka's
        """What aiokafka knows of a partition that has a position: its own position() would wait for one."""
        subscription = self._ensure_consumer()._subscription.subscription  # noqa: SLF001
        held = subscription.assignment.state_value(driver.ensure_aiokafka_TP(tp)) if subscription and subscription.assignment else None
        return held if held is not None and held.has_valid_position else None

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Tell Kafka, for those who watch the group there. The warehouse is the truth, so a failure costs nothing."""
        consumer = self._ensure_consumer()
        mine = {driver.ensure_aiokafka_TP(tp): aiokafka.structs.OffsetAndMetadata(o, "") for tp, o in offsets.items() if tp in self.assignment()}
        try:
            # In a rebalance nothing may be ours, and aiokafka takes an empty commit for a mistake.
            if mine:
                await consumer.commit(mine)
        except KafkaError as error:
            self.log.warning("Kafka did not take the offsets, the warehouse has them: %r", error)
            return False
        return True

    async def seek_from(self, start: Start) -> None:
        """Move the positions and number the chunks anew: in one step of the thread that fetches, so that no chunk mixes the two."""
        consumer = self._ensure_consumer()
        held = self.assignment()
        for tp, offset in start.offsets.items():
            if tp in held:
                consumer.seek(driver.ensure_aiokafka_TP(tp), offset)
        self.epoch = start.epoch
        self.sequences.clear()
        self.alignment = Alignment()

    async def _highwaters(self, partitions: Iterable[TP]) -> Mapping[TP, int]:
        """The ends of logs. A reader of committed records is told of an end before the first open transaction, and would take what was sent after it for no part of the log."""
        consumer = self._ensure_consumer()
        uncommitted = copy.copy(consumer._fetcher)  # noqa: SLF001  # it asks for ends of either kind by the same requests
        uncommitted._isolation_level = READ_UNCOMMITTED  # noqa: SLF001
        wanted = [driver.ensure_aiokafka_TP(tp) for tp in partitions]
        return await uncommitted.end_offsets(wanted, consumer._request_timeout_ms) if wanted else {}  # noqa: SLF001

    async def reaches(self, tps: Iterable[TP]) -> dict[TP, Reach]:
        """Position and end of each partition, in one consistent look of the thread that moves the positions."""
        wanted = [driver.ensure_aiokafka_TP(tp) for tp in tps if tp in self.assignment()]
        ends = await self._highwaters(wanted)
        states = {TP(tp.topic, tp.partition): (self._state(tp), end) for tp, end in ends.items()}
        return {tp: Reach(held._position, end, (self.epoch, self.sequences.get(tp, 0))) for tp, (held, end) in states.items() if held}  # noqa: SLF001

    async def tails(self, bootstrap: str, access: Access, spans: Spans) -> dict[TP, Records]:
        """The committed records of these spans. Raises as ``streams.tails``."""
        found = await tails(bootstrap, access, spans)
        self.doubts.found({tp: records.leaders[1] for tp, records in found.items()})
        return found

    async def sent_from(self, sent: Mapping[TP, int]) -> dict[TP, int]:
        """The first offset of each partition whose record was sent at this time, epoch ms, or later; without those that have none."""
        found = await self._ensure_consumer().offsets_for_times({driver.ensure_aiokafka_TP(tp): at for tp, at in sent.items()})
        return {TP(tp.topic, tp.partition): one.offset for tp, one in found.items() if one is not None}


class Unheeded(dict[TP, int | None]):
    """Faust's note of what it has read, which never holds a chunk back.

    Faust drops what lies below it, and a chunk from before a seek may raise it above where reading goes on: the chunks after the seek
    would be dropped without a trace. Sequence numbers tell drops here.
    """

    def __getitem__(self, tp: TP) -> None:
        return None


class ChunkConsumer(driver.Consumer):
    """Faust's consumer, one message a chunk; it starts where the warehouse says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._read_offset = Unheeded()
        self.seeking = asyncio.Lock()
        self.sought: int | None = None
        """The group's generation that was sought for last."""

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def thread(self) -> ChunkThread:
        """The thread that owns aiokafka's consumer."""
        return cast("ChunkThread", self._thread)

    def _to_message(self, tp: TP, record: Fetched) -> ConsumerMessage:
        records = record.records
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            records.offset,
            int(records.times[-1]) / 1000,
            0,  # whose clock that was is not asked for
            [],
            None,
            cast("Any", record),  # Faust says bytes and carries anything
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Called by Faust after every rebalance. Faust's own would overwrite a seek made elsewhere."""
        # One at a time: of two at once, each would call the other's chunks old.
        async with self.seeking:
            generation = self.app.consumer_generation_id
            await self.thread.call_thread(self.thread.begin_look)
            start = await cast("ChunkTransport", self.transport).start_offsets(self.assignment())
            await self.thread.call_thread(self.thread.seek_from, start)
            self.sought = generation
        return start.offsets

    async def reaches(self) -> dict[TP, Reach]:
        """Where each assigned partition stands."""
        return cast("dict[TP, Reach]", await self.thread.call_thread(self.thread.reaches, self.assignment()))

    async def tails(self, bootstrap: str, access: Access, spans: Spans) -> dict[TP, Records]:
        """The committed records of these spans; read by the thread that reads, as only one may unpack batches. Raises as ``streams.tails``."""
        return cast("dict[TP, Records]", await self.thread.call_thread(self.thread.tails, bootstrap, access, spans))

    async def sent_from(self, sent: Mapping[TP, int]) -> dict[TP, int]:
        """The first offset of each partition whose record was sent at this time, epoch ms, or later; without those that have none."""
        return cast("dict[TP, int]", await self.thread.call_thread(self.thread.sent_from, sent))


class PatientRecovery(Recovery):
    """Faust's, which has the consumer seek after a rebalance, without its time-out.

    Faust gives a seek as long as a request to a broker may take, and what takes longer, as where a disk is full or a catalog away, it takes for the end of the
    service: it would never seek again, and after the next rebalance nothing would be read any more.
    """

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ANN401, ARG002, ASYNC109  # Faust's signature
        await super()._wait(coro)


class PatientTables(TableManager):
    """Where Faust has its recovery; there are no tables."""

    @property
    def recovery(self) -> Recovery:
        """Made when it is first asked for."""
        if self._recovery is None:
            self._recovery = PatientRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


class ChunkTransport(driver.Transport):
    """``app.transport = ChunkTransport(url, app, start_offsets=...)``.

    ``aligned`` are topics whose partitions are read side by side in time, by when their records were sent: not a scenario's clock, which may have times of its
    own, nor what people say, which may be sent long after.
    """

    Consumer = ChunkConsumer

    def __init__(
        self,
        *args: Any,  # noqa: ANN401
        start_offsets: StartOffsets,
        aligned: Collection[str] = (),
        together: bool = False,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        self.aligned = aligned
        self.together = together
        super().__init__(*args, **kwargs)
        self.start_offsets = start_offsets
