"""What is done beside the batches, several times a second: close minutes as the watermark moves, let old events go, publish."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
from faust.types import TP

from streams.letters import Letters
from streams.line import BROKER_ERRORS, Line
from streams.settings import Settings
from streams.transport import ChunkConsumer, Reach
from streams.watermark import watermark
from warehouse import alerts
from warehouse.closing import Closing
from warehouse.connection import passes
from warehouse.ingest import Writer
from warehouse.lake_errors import ConflictError, NotLeadingError, conflicts
from warehouse.lake_writer import LakeWriter
from warehouse.publishing import Publisher
from warehouse.settling import settle, turn
from warehouse.telling import tell

log = logging.getLogger(__name__)

AWAY = "waiting: broker"
LONGEST_CLOSE_PAUSE = 2.0
"""Seconds: closing takes a fifth of the time at most, but does not wait longer than this."""

SETTLE_SECONDS = 60.0

Partition = tuple[str, int]
"""The contract's name of a topic, and the number of a partition."""


class Tending:
    """Closes and publishes what ``line`` commits. One to an app; all methods but those named ``_on_…`` are called on the event loop."""

    def __init__(self, settings: Settings, writer: Writer, line: Line, letters: Letters) -> None:
        self.line = line
        self.writer = writer
        self.letters = letters
        self.lateness = timedelta(seconds=settings.lateness_seconds)
        self.publish_seconds = settings.publish_seconds
        self.alerted, self.subscribers = settings.alert_url is not None, settings.subscribers
        self.settings = settings
        self.leads = not isinstance(writer, LakeWriter)
        """Whether this worker closes and publishes: the only one on a file; on a lake the one that has the commands."""
        self.led_in = 0
        self.settle_at = 0.0
        self.closing = Closing(writer, self.lateness, settings.raw_days)
        self.publisher = Publisher(writer.connection, settings.published_folder)
        self.publishing = ThreadPoolExecutor(1, "publisher")
        self.manifest: Mapping[str, Any] | None = None
        """What was published last; None before the first time."""
        self.published_at = 0.0
        self.close_at = 0.0
        self.took = 0.0

    async def once(self, consumer: ChunkConsumer) -> None:
        """Close what the watermark closes, then publish where it is time to."""
        # Read before the ends are asked for: an event that comes in between must not lie behind the watermark.
        now = self.line.now()
        reaches = await self._reaches(consumer)
        read_through = {self._partition(tp) for tp, r in reaches.items() if r.position >= r.end and r.handed_out == self.line.applied.get(tp)}
        partitions = [self._partition(tp) for tp in consumer.assignment()]
        ends = {self._partition(tp): reach.end for tp, reach in reaches.items()}
        if isinstance(self.writer, LakeWriter):
            positions = {self._partition(tp): r.position for tp, r in reaches.items() if self._partition(tp) in read_through}
            try:
                if not await self._shared(self.writer, consumer, partitions, ends, read_through, positions):
                    return
            except (ConflictError, NotLeadingError) as error:
                log.info("Another worker has this by now: %s", error)
                self.led_in = 0
                return
        # One visit to the database thread: while a backlog is read, each waits for a batch.
        try:
            await self.line.retried(lambda: self.line.on_database(self._on_database, partitions, read_through, now))
        except NotLeadingError:
            self.led_in = 0
            return
        # While a backlog is read, publishing takes at most a tenth of the time.
        pause = self.publish_seconds if len(read_through) == len(ends) else max(self.publish_seconds, 10 * self.took)
        began = time.monotonic()
        if began >= self.published_at + pause:
            await self._publish(now, ends, read_through)
            self.published_at, self.took = began, time.monotonic() - began

    async def _reaches(self, consumer: ChunkConsumer) -> Mapping[TP, Reach]:
        """Where each partition stands; nothing is known while no broker answers, and that is published too."""
        try:
            reaches = await consumer.reaches()
        except BROKER_ERRORS as error:
            log.warning("No broker tells the ends of the topics: %r", error)
            self.line.waiting["ends"] = AWAY
            return {}
        self.line.waiting.pop("ends", None)
        return reaches

    def close(self) -> None:
        """End publishing with the file that is being written: in a backlog a state can have thousands, and the next worker writes what is missing."""
        self.publisher.ending = True
        self.publishing.shutdown(wait=True)

    def _partition(self, tp: TP) -> Partition:
        return self.line.contract_name(tp.topic), tp.partition

    def _on_database(self, partitions: list[Partition], read_through: set[Partition], now: datetime | None) -> None:
        newest = {key: source.event_time_max for key, source in self.writer.sources().items()}
        naive = now.astimezone(UTC).replace(tzinfo=None) if now else None
        mark = watermark(partitions, newest, read_through, naive, self.lateness)
        if mark is not None and time.monotonic() >= self.close_at:
            began = time.monotonic()
            self.closing.close(mark)
            # While a backlog is read or a scenario played, each round closes minutes, and batches wait for the same thread.
            self.close_at = time.monotonic() + min(4 * (time.monotonic() - began), LONGEST_CLOSE_PAUSE)
            self.line.retained_from = self.closing.retire(mark, now or datetime.now(UTC))
        try:
            tell(self.writer.connection, self.letters.send_incidents, self._alert if self.alerted else None)
        except BROKER_ERRORS as error:
            log.warning("The topic of incidents is told later: %r", error)

    def _alert(self, changes: Sequence[Mapping[str, Any]]) -> None:
        alerts.queue(self.writer.connection, changes, datetime.now(UTC), self.subscribers)

    async def _shared(
        self,
        writer: LakeWriter,
        consumer: ChunkConsumer,
        partitions: list[Partition],
        ends: dict[Partition, int],
        through: set[Partition],
        positions: Mapping[Partition, int],
    ) -> bool:
        """On a lake: tell others how far this worker is; where it leads, add to ``partitions``, ``ends`` and ``through`` what they are at. Returns whether it leads."""
        self.leads = ("commands", 0) in partitions
        await self.line.retried(lambda: self.line.on_database(self._on_shared, writer, positions))
        if not self.leads:
            return False
        known = await self.line.retried(lambda: self.line.on_database(writer.sources))
        others = {TP(self.settings.topic(topic), number): (topic, number) for topic, number in known if (topic, number) not in partitions}
        try:
            found = await consumer.highwaters(*others) if others else {}
        except BROKER_ERRORS as error:
            log.warning("No broker tells the ends of the topics: %r", error)
            return True
        # Asked after the ends, so that nothing that came in between lies behind the watermark.
        known = await self.line.retried(lambda: self.line.on_database(writer.sources))
        partitions += others.values()
        ends |= {others[tp]: end for tp, end in found.items()}
        through |= {others[tp] for tp, end in found.items() if known[others[tp]].next_offset >= end}
        return True

    def _on_shared(self, writer: LakeWriter, positions: Mapping[Partition, int]) -> None:
        writer.passed(positions)
        self.line.retained_from = writer.line().retained_from
        if self.leads and self.led_in != self.line.epoch:
            # What another leader has closed and published is looked at anew.
            writer.lead()
            self.led_in = self.line.epoch
            self.closing = Closing(writer, self.lateness, self.settings.raw_days)
            self.publisher = Publisher(writer.connection, self.settings.published_folder)
        if self.leads and time.monotonic() >= self.settle_at:
            self.settle_at = time.monotonic() + SETTLE_SECONDS
            try:
                settle(writer, turn(writer))
            except duckdb.Error as error:
                if not conflicts(error):
                    raise
                log.info("A worker was still appending; what it appended is added up next time.")

    async def _publish(self, now: datetime | None, ends: Mapping[Partition, int], read_through: set[Partition]) -> None:
        positions = {partition: ends[partition] for partition in read_through}
        wall = datetime.now(UTC)
        try:
            self.manifest = await asyncio.get_running_loop().run_in_executor(self.publishing, self._on_publisher, now or wall, wall, ends, positions)
        except (duckdb.Error, OSError) as error:
            if isinstance(error, duckdb.Error) and not passes(error):
                raise
            # The next round tries again; readers keep the last state and see its age.
            log.warning("Nothing could be published: %s", error)
            self.line.waiting["publishing"] = f"waiting: {type(error).__name__}"
        else:
            self.line.waiting.pop("publishing", None)

    def _on_publisher(self, now: datetime, wall: datetime, ends: Mapping[Partition, int], positions: Mapping[Partition, int]) -> dict[str, Any]:
        with self.writer.in_use:
            self.publisher.connection = self.writer.connection
            return self.publisher.publish(now, wall, ends, positions)
