"""The leading worker has its lake looked after by a thread of its own, so that neither batches nor closing wait for it."""

import logging
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import duckdb

from warehouse.connection import passes
from warehouse.lake import Lake
from warehouse.lake_errors import NotLeadingError
from warehouse.upkeep import Upkeep

log = logging.getLogger(__name__)

PAUSE_SECONDS = 5.0


class LookingAfter:
    """Starts upkeep where it is time to; ``soon`` and ``close`` are called on the event loop."""

    def __init__(self, lake: Lake, worker: str, days: float) -> None:
        self.lake, self.worker, self.days = lake, worker, days
        self.thread = ThreadPoolExecutor(1, "upkeep")
        self.running: Future[None] | None = None
        self.not_before = 0.0
        self.upkeep: Upkeep | None = None

    def soon(self) -> None:
        """Begin, unless it goes on or has just been done.

        Raises:
            duckdb.Error: of the time before, where it was a bug and nothing that passes.
        """
        if self.running is not None:
            if not self.running.done():
                return
            self.running.result()
        if time.monotonic() >= self.not_before:
            self.running = self.thread.submit(self._on_thread)
            self.not_before = time.monotonic() + PAUSE_SECONDS

    def close(self) -> None:
        """End with the statement that is being run."""
        if self.upkeep:
            self.upkeep.ending = True
        self.thread.shutdown(wait=True, cancel_futures=True)
        if self.upkeep:
            self.upkeep.close()

    def _on_thread(self) -> None:
        try:
            self.upkeep = self.upkeep or Upkeep(self.lake, self.worker, self.days)
            for done in self.upkeep.once(datetime.now(UTC)):
                log.debug("Upkeep of the lake: %s", done)
        except NotLeadingError as error:
            log.info("The lake is not looked after here: %s", error)
        except duckdb.Error as error:
            if not passes(error):
                raise
            log.warning("The lake is looked after later: %s", str(error).splitlines()[0])
