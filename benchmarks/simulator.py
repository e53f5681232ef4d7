"""How many events a second does the simulator make, with sending switched off?

A week of the nation on one core: ``columns`` until the encoded records stand as columns in the order of sending, ``lists`` until they stand as
the Python lists that the sender takes. Medians of the turns; what is counted are payments and errors, though service reports are made too. Run with
POLARS_MAX_THREADS=1 for one core.

``POLARS_MAX_THREADS=1 python -m benchmarks simulator --turns 3``

``--send`` sends it to an embedded Kafka once instead, and says how much of this process's time goes into making and how much into sending.
"""

import argparse
import os
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from streams.broker import EmbeddedBroker, create_topics
from streams.simulator import Scenario, Slice, country, load_scenario, play
from streams.simulator.days import played
from streams.simulator.encoding import topics_of_day
from streams.simulator.sending import send

COUNTED = ("payments", "errors")


def columns(scenario: Scenario) -> int:
    """Make every record as columns and return the number of payments and errors."""
    markets = country(scenario)
    return sum(len(frame) for day in played(scenario, markets) for topic, frame in topics_of_day(scenario, markets, day).items() if topic in COUNTED)


def lists(scenario: Scenario) -> int:
    """Make every record as what the sender takes and return the number of payments and errors."""
    return sum(len(records) for one in play(scenario) for topic, records in one.records.items() if topic in COUNTED)


def sent(scenario: Scenario) -> tuple[int, float, float]:
    """Records sent to an embedded Kafka, and seconds of processor time for making and for sending them."""
    making = 0.0

    def timed() -> Iterator[Slice]:
        nonlocal making
        slices = play(scenario)
        while True:
            began = time.process_time()
            one = next(slices, None)
            making += time.process_time() - began
            if one is None:
                return
            yield one

    with TemporaryDirectory() as folder, EmbeddedBroker(Path(folder)) as broker:
        create_topics(broker.bootstrap, dict.fromkeys((*COUNTED, "service_load", "commands", "clock"), 1), {})
        began = time.process_time()
        records = sum(send(timed(), broker.bootstrap, str).records.values())
        return records, making, time.process_time() - began - making


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 where the rate is below ``--least``."""
    options = argparse.ArgumentParser(prog="python -m benchmarks simulator", description="Events a second that the simulator makes, without sending them.")
    options.add_argument("--scenario", default="ordinary-week")
    options.add_argument("--scale", type=float, default=None)
    options.add_argument("--turns", type=int, default=3)
    options.add_argument("--least", type=float, default=100_000, help="records a second below which this fails")
    options.add_argument("--send", action="store_true", help="send to an embedded Kafka once instead")
    given = options.parse_args(arguments)
    scenario = load_scenario(given.scenario, scale=given.scale)
    if given.send:
        records, making, sending = sent(scenario)
        print(f"{records:,} records: {making:.1f} s of processor time for making, {sending:.1f} s for sending ({making / (making + sending):.0%} and the rest)")
        return 0
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
