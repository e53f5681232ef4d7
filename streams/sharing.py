"""One of several workers on a lake: who leads, and how far all of them have come.

Whoever is assigned the commands leads: closes minutes, detects, publishes. The lake's row ``leader`` sees to it that one that was frozen does not go on.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faust.types import TP

from streams.line import BROKER_ERRORS, Line
from streams.settings import Settings
from streams.transport import ChunkConsumer
from streams.watermark import TIMED
from warehouse.lake_writer import LakeWriter

log = logging.getLogger(__name__)

LEADERS = ("commands", 0)
"""Whoever has this partition leads."""

AGAIN_SECONDS = 30.0
"""When one that was refused to lead tries again, where it still has that partition: by then a session that was over has been noticed."""

Partition = tuple[str, int]
"""The contract's name of a topic, and the number of a partition."""


@dataclass(frozen=True)
class Standing:
    """Where reading stands: the partitions that count, the ends of their logs where known, and those that are read and committed to the end."""

    partitions: list[Partition]
    ends: Mapping[Partition, int]
    read_through: set[Partition]


class Sharing:
    """What a worker has to do with the others. All methods but ``of_all`` are called on the database thread or know nothing of it."""

    def __init__(self, settings: Settings, writer: LakeWriter, line: Line) -> None:
        self.settings, self.writer, self.line = settings, writer, line
        self.leads = False
        self.led_in: int | None = None
        """The epoch in which it began to lead; after a rebalance it begins anew, since another may have led meanwhile."""
        self.not_before = 0.0

    async def of_all(self, consumer: ChunkConsumer, mine: Standing) -> Standing:
        """Tell the others how far this worker is, and see how far they are. ``mine`` was looked at just before."""
        await self.line.retried(lambda: self.line.on_database(self._on_database))
        self.leads = LEADERS in mine.partitions and time.monotonic() >= self.not_before
        if not self.leads:
            return mine
        every = [(topic, number) for topic in TIMED for number in range(consumer.topic_partitions(self.settings.topic(topic)) or 0)]
        others = {TP(self.settings.topic(topic), number): (topic, number) for topic, number in every if (topic, number) not in mine.partitions}
        try:
            ends = {others[tp]: end for tp, end in (await consumer.highwaters(*others)).items()} if others else {}
        except BROKER_ERRORS as error:
            log.warning("No broker tells the ends of the topics: %r", error)
            ends = {}
        # After the ends: what is committed up to an end is all that there was at that time.
        known = await self.line.retried(lambda: self.line.on_database(self.writer.sources))
        through = {key for key, end in ends.items() if key in known and known[key].next_offset >= end}
        return Standing([*mine.partitions, *others.values()], {**mine.ends, **ends}, mine.read_through | through)

    def _on_database(self) -> None:
        state = self.writer.line()
        self.line.retained_from, self.line.clock_at = state.retained_from, state.clock_at

    def begin_to_lead(self) -> None:
        """Lead from now on; whoever led before is refused."""
        epoch = self.line.epoch
        self.writer.lead()
        self.led_in = epoch
        log.info("This worker leads: it closes minutes and publishes.")

    def leave(self) -> None:
        """Another one leads."""
        self.leads, self.led_in = False, None
        self.not_before = time.monotonic() + AGAIN_SECONDS


def manifest_in(folder: Path) -> Mapping[str, Any] | None:
    """What the leader has published; None before that."""
    try:
        found: Mapping[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError:
        return None
    return found
