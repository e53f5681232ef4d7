"""The topic ``incidents`` is told on a thread of its own: where the brokers do not take a message, neither batches nor closing wait for it."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from streams.letters import Letters
from streams.line import BROKER_ERRORS, Line
from streams.settings import Settings
from warehouse import alerts
from warehouse.ingest import Writer
from warehouse.lake_errors import NotLeadingError
from warehouse.telling import forget, noted

log = logging.getLogger(__name__)

TELL_SECONDS, SELDOM_SECONDS = 0.25, 5.0
"""Between two looks at what is to be told; in between, four times as long as a look took: on a lake it asks the catalog, and behind batches it waits for them."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds: after a message that was not taken, doubled each time."""

TOPIC = "incidents"
"""Under this name ``Line.waiting`` has what is waited for here, which holds up nothing else."""


class Telling:
    """Sends what was noted about incidents, in order. One to an app; all methods but those named ``_on_…`` are called on the event loop."""

    def __init__(self, settings: Settings, writer: Writer, line: Line) -> None:
        self.writer, self.line = writer, line
        self.alerted, self.subscribers = settings.alert_url is not None, settings.subscribers
        # Not those of the dead letters, which are sent on the database thread.
        self.letters = Letters(settings)
        self.thread = ThreadPoolExecutor(1, "telling")
        self.failures = 0

    async def once(self) -> float:
        """Send what there is; returns the seconds until it is worth to look again."""
        epoch, began = self.line.epoch, time.monotonic()
        through, changes = await self.line.retried(lambda: self.line.on_database(self._on_database))
        pause = min(max(TELL_SECONDS, 4 * (time.monotonic() - began)), SELDOM_SECONDS)
        if changes:
            try:
                await asyncio.get_running_loop().run_in_executor(self.thread, self.letters.send_incidents, changes)
            except (*BROKER_ERRORS, OSError) as error:
                self.line.waiting[TOPIC] = f"waiting: topic {TOPIC}"
                pause = max(pause, min(FIRST_PAUSE * 2.0**self.failures, LONGEST_PAUSE))
                self.failures = min(self.failures + 1, 10)
                log.warning("The topic of incidents is told in %.0f s: %r", pause, error)
                return pause
            await self._sent(through, changes, epoch)
        return max(pause, self.stand_by())

    def stand_by(self) -> float:
        """Wait for nothing: it was sent, or another worker sends it. Returns the seconds until it is worth to look again."""
        self.failures = 0
        self.line.waiting.pop(TOPIC, None)
        return TELL_SECONDS

    async def _sent(self, through: int, changes: Sequence[Mapping[str, Any]], epoch: int) -> None:
        try:
            await self.line.retried(lambda: self.line.on_database(self._on_database_sent, through, changes, epoch))
        except NotLeadingError as error:
            log.info("Who leads tells it once more: %s", error)

    def _on_database(self) -> tuple[int, list[dict[str, Any]]]:
        return noted(self.writer.connection)

    def _on_database_sent(self, through: int, changes: Sequence[Mapping[str, Any]], epoch: int) -> None:
        # Another worker may have led meanwhile and told all this, and what is noted now has the same numbers.
        if epoch == self.line.epoch:
            forget(self.writer.connection, through, (lambda: self._alert(changes)) if self.alerted else None, self.writer.leading)

    def _alert(self, changes: Sequence[Mapping[str, Any]]) -> None:
        alerts.queue(self.writer.connection, changes, datetime.now(UTC), self.subscribers)

    def close(self) -> None:
        """End with the message that is being sent."""
        self.thread.submit(self.letters.close).result()
        self.thread.shutdown()
