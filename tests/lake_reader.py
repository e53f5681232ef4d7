"""Reads the sum of sales of a lake again and again, each from its newest snapshot, until it is told to end; a number a line."""

import signal
import sys
from pathlib import Path

from warehouse.reading import open_snapshot

ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
while not ended:
    with open_snapshot(Path(sys.argv[1])) as snapshot:
        print(snapshot.sql("SELECT coalesce(sum(approved), 0)::BIGINT FROM market_minute").item(), flush=True)
