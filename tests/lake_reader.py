"""Reads the sum of sales of a lake again and again, each from its newest snapshot, until it is told to end; a number a line.

A catalog in SQLite is locked at times, as pages say too; then it asks again.
"""

import signal
import sys
from pathlib import Path

import duckdb

from warehouse.lake_errors import conflicts
from warehouse.lake_reading import LakeAwayError
from warehouse.reading import open_snapshot

ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
while not ended:
    try:
        with open_snapshot(Path(sys.argv[1])) as snapshot:
            print(snapshot.sql("SELECT coalesce(sum(approved), 0)::BIGINT FROM market_minute").item(), flush=True)
    except (duckdb.Error, LakeAwayError) as error:
        if not conflicts(error) and not conflicts(error.__cause__ or error):
            raise
