"""Starting a worker: the file first, then the group, so that a second worker waits outside and takes over when the first is gone."""

import logging
import time
from datetime import UTC, datetime

from streams.settings import Settings
from streams.topics import wait_for_topics
from streams.worker import create_app
from warehouse.connection import WarehouseBusyError
from warehouse.ingest import Writer

log = logging.getLogger(__name__)

STANDBY_SECONDS = 2.0


def run_worker(settings: Settings) -> int:
    """Run a worker to its end; returns the exit code."""
    logging.getLogger("kafka").setLevel(logging.WARNING)
    # At DEBUG it prints what it has fetched, user ids among it.
    logging.getLogger("aiokafka").setLevel(logging.INFO)
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    writer = wait_for_warehouse(settings)
    wait_for_topics(settings, log.warning)
    return create_app(settings, writer).run(settings.log_level)


def wait_for_warehouse(settings: Settings) -> Writer:
    """Open the warehouse, waiting as long as another worker has it."""
    told = False
    while True:
        try:
            return Writer(settings.warehouse, datetime.now(UTC))
        except WarehouseBusyError as error:
            if not told:
                log.warning("Standby: %s", error)
                told = True
            time.sleep(STANDBY_SECONDS)
