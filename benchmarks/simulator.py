"""How many events a second does the simulator make, with sending switched off?

A week of the nation on one core: ``columns`` until the encoded records stand as columns in the order of sending, ``lists`` until they stand as
the Python lists that the sender takes. Medians of the turns; what is counted are records. Run with POLARS_MAX_THREADS=1 for one core.

``POLARS_MAX_THREADS=1 python -m benchmarks simulator --turns 3``
"""

import argparse
import os
import resource
import statistics
import sys
import time

from streams.simulator import Scenario, country, load_scenario, play
from streams.simulator.days import play_day
from streams.simulator.encoding import topics_of_day


def columns(scenario: Scenario) -> int:
    """Make every record as columns and return their number."""
    markets = country(scenario)
    return sum(len(frame) for day in scenario.days for frame in topics_of_day(scenario, markets, play_day(scenario, markets, day)).values())


def lists(scenario: Scenario) -> int:
    """Make every record as what the sender takes and return their number."""
    return sum(len(records) for one in play(scenario) for records in one.records.values())


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 where the rate is below ``--least``."""
    options = argparse.ArgumentParser(prog="python -m benchmarks simulator", description="Events a second that the simulator makes, without sending them.")
    options.add_argument("--scenario", default="ordinary-week")
    options.add_argument("--scale", type=float, default=None)
    options.add_argument("--turns", type=int, default=3)
    options.add_argument("--least", type=float, default=100_000, help="records a second below which this fails")
    given = options.parse_args(arguments)
    scenario = load_scenario(given.scenario, scale=given.scale)
    slowest = float("inf")
    for way in (columns, lists):
        rates, cpu = [], []
        for _ in range(given.turns):
            began, used = time.perf_counter(), time.process_time()
            made = way(scenario)
            rates.append(made / (time.perf_counter() - began))
            cpu.append(made / (time.process_time() - used))
        slowest = min(slowest, statistics.median(cpu))
        print(f"{way.__name__:<8} {made:>10,} records  {statistics.median(rates):>10,.0f}/s by the clock  {statistics.median(cpu):>10,.0f}/s of processor time")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"peak memory {peak:,.0f} MB, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, POLARS_MAX_THREADS={os.environ.get('POLARS_MAX_THREADS', 'unset')}"
    )
    if slowest < given.least:
        print(f"Expected at least {given.least:,.0f} records a second of processor time, got {slowest:,.0f}.", file=sys.stderr)
        return 1
    return 0
