"""Looks after a lake without pause, to be killed: the address of its catalog, its data, who leads."""

import itertools
import sys
from datetime import UTC, datetime, timedelta

from warehouse.lake import Lake
from warehouse.upkeep import Upkeep

upkeep = Upkeep(Lake(sys.argv[1], sys.argv[2]), sys.argv[3], days=1)
print("begin", flush=True)
for number in itertools.count():
    upkeep.once(datetime.now(UTC) + timedelta(days=number))
