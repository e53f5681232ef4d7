"""What is done beside the batches, several times a second: close minutes as the watermark moves, let old events go, publish."""

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
from faust.types import TP

from streams.line import BROKER_ERRORS, Line
from streams.looking_after import LookingAfter
from streams.settings import Settings
from streams.sharing import Partition, Sharing, Standing, manifest_in
from streams.steadiness import CLOSES_AFTER, DELETES_AFTER, Steadiness
from streams.transport import ChunkConsumer, Reach
from streams.watermark import watermark
from warehouse.closing import Closing
from warehouse.connection import lacks_memory, passes
from warehouse.ingest import Writer
from warehouse.lake_errors import NotLeadingError
from warehouse.lake_writer import LakeWriter
from warehouse.publishing import Publisher

log = logging.getLogger(__name__)

AWAY = "waiting: broker"
DISPLACED = "waiting: the warehouse's file was removed or replaced"
LONGEST_CLOSE_PAUSE = 2.0
"""Seconds: closing takes a fifth of the time at most, but does not wait longer than this."""


class Tending:
    """Closes and publishes what ``line`` commits. One to an app; all methods but those named ``_on_…`` are called on the event loop."""

    def __init__(self, settings: Settings, writer: Writer, line: Line) -> None:
        self.line = line
        self.writer = writer
        self.steadiness = Steadiness()
        self.lateness = timedelta(seconds=settings.lateness_seconds)
        self.publish_seconds = settings.publish_seconds
        self.raw_days, self.folder = settings.raw_days, settings.published_folder
        self.sharing = Sharing(settings, writer, line) if isinstance(writer, LakeWriter) else None
        self.looking_after = LookingAfter(writer.lake, writer.worker, settings.lake_days) if isinstance(writer, LakeWriter) else None
        self.closing = Closing(writer, self.lateness, settings.raw_days)
        self.publisher = self._publisher()
        self.publishing = ThreadPoolExecutor(1, "publisher")
        self.manifest: Mapping[str, Any] | None = None
        """What was published last; None before the first time."""
        self.published_at = -math.inf
        """By a clock that begins at 0 where the machine was started just now."""
        self.close_at = 0.0
        self.took = 0.0

    async def once(self, consumer: ChunkConsumer) -> None:
        """Close what the watermark closes, then publish where it is time to."""
        self._look_at_file()
        # Read before the ends are asked for: an event that comes in between must not lie behind the watermark.
        now, steady = self._believed()
        reaches = await self._reaches(consumer)
        read_through = {self._partition(tp) for tp, r in reaches.items() if r.position >= r.end and r.handed_out == self.line.applied.get(tp)}
        standing = Standing([self._partition(tp) for tp in consumer.assignment()], {self._partition(tp): r.end for tp, r in reaches.items()}, read_through)
        if self.sharing:
            with suppress(*BROKER_ERRORS):
                await self.line.pass_markers(consumer, reaches)
            standing = await self.sharing.of_all(consumer, standing)
            if not self.sharing.leads:
                self.manifest = manifest_in(self.publisher.folder)
                return
            if self.sharing.led_in != self.line.epoch:
                await self.line.retried(lambda: self.line.on_database(self._begin_to_lead))
        try:
            await self._tend(standing, now, steady)
            if self.looking_after:
                self.looking_after.soon()
        except NotLeadingError as error:
            log.warning("Nothing was closed or published: %s", error)
            if self.sharing:
                self.sharing.leave()

    def _look_at_file(self) -> None:
        """Say where nothing that is written will be found again: the worker goes on with a file that has no name any more."""
        if not self.writer.displaced:
            self.line.waiting.pop("file", None)
        elif "file" not in self.line.waiting:
            self.line.waiting["file"] = DISPLACED
            log.error(
                "%s was removed or replaced. What this worker knows is lost with its end, so before stopping it: onnuri backup --from-worker FILE. "
                "Then stop it, and: onnuri restore FILE",
                self.writer.path,
            )

    def _believed(self) -> tuple[datetime | None, float]:
        """The line's clock, None while it is the wall's and in doubt, and for how many seconds it has not jumped."""
        now = self.line.now()
        if self.line.settings.clock != "wall" or now is None:
            return now, math.inf
        # One look: a clock that jumps between two would be believed once.
        jumped, steady = self.steadiness.look(now.timestamp(), time.monotonic())
        if jumped:
            log.warning("The wall clock jumped by %.0f s. It closes no minute for %d s and deletes nothing for %d s", jumped, CLOSES_AFTER, DELETES_AFTER)
        return now if steady >= CLOSES_AFTER else None, steady

    async def _tend(self, standing: Standing, now: datetime | None, steady: float) -> None:
        # One visit to the database thread: while a backlog is read, each waits for a batch.
        await self.line.retried(lambda: self.line.on_database(self._on_database, standing, now, steady))
        # While a backlog is read, publishing takes at most a tenth of the time.
        pause = self.publish_seconds if len(standing.read_through) == len(standing.ends) else max(self.publish_seconds, 10 * self.took)
        began = time.monotonic()
        if began >= self.published_at + pause:
            await self._publish(now, standing)
            self.published_at, self.took = began, time.monotonic() - began

    @property
    def leads(self) -> bool:
        """Whether this worker closes and publishes: the only one on a file does, and one of those on a lake."""
        # After a rebalance not before it has begun to lead anew.
        return self.sharing is None or (self.sharing.leads and self.sharing.led_in == self.line.epoch)

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
        if self.looking_after:
            self.looking_after.close()

    def _partition(self, tp: TP) -> Partition:
        return self.line.contract_name(tp.topic), tp.partition

    def _on_database(self, standing: Standing, now: datetime | None, steady: float) -> None:
        newest = {key: source.event_time_max for key, source in self.writer.sources().items()}
        naive = now.astimezone(UTC).replace(tzinfo=None) if now else None
        mark = watermark(standing.partitions, newest, standing.read_through, naive, self.lateness)
        if mark is not None and time.monotonic() >= self.close_at:
            began = time.monotonic()
            self.closing.close(mark)
            # While a backlog is read or a scenario played, each round closes minutes, and batches wait for the same thread.
            # On a lake a round over a backlog may take minutes, and the leader's own partitions would have had seconds between two.
            longest = LONGEST_CLOSE_PAUSE if self.sharing is None else math.inf
            self.close_at = time.monotonic() + min(4 * (time.monotonic() - began), longest)
            if steady >= DELETES_AFTER:
                self.line.retained_from = self.closing.retire(mark, now or datetime.now(UTC))

    def _begin_to_lead(self) -> None:
        """Lead from now on. What another leader has closed and published since is looked at anew."""
        assert self.sharing is not None
        self.sharing.begin_to_lead()
        self.closing = Closing(self.writer, self.lateness, self.raw_days)
        with self.writer.in_use:
            self.publisher = self._publisher()

    def _publisher(self) -> Publisher:
        made = Publisher(self.writer.connection, self.folder)
        made.check = self.sharing.writer.check_leads if self.sharing else None
        return made

    async def _publish(self, now: datetime | None, standing: Standing) -> None:
        ends = {partition: standing.ends.get(partition) for partition in {*standing.partitions, *standing.ends}}
        positions = {partition: standing.ends[partition] for partition in standing.read_through}
        wall = datetime.now(UTC)
        try:
            self.manifest = await asyncio.get_running_loop().run_in_executor(self.publishing, self._on_publisher, now or wall, wall, ends, positions)
        except (duckdb.Error, OSError) as error:
            if isinstance(error, duckdb.Error) and not passes(error):
                raise
            # The next round tries again; readers keep the last state and see its age.
            log.warning("Nothing could be published: %s", error)
            self.line.waiting["publishing"] = f"waiting: {type(error).__name__}"
            if lacks_memory(error):
                await self.line.on_database(self.writer.failed, error)
        else:
            self.line.waiting.pop("publishing", None)

    def _on_publisher(self, now: datetime, wall: datetime, ends: Mapping[Partition, int | None], positions: Mapping[Partition, int]) -> dict[str, Any]:
        with self.writer.in_use:
            self.publisher.connection = self.writer.connection
            return self.publisher.publish(now, wall, ends, positions)
