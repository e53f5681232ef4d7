"""How long does an estimate take, with its intervals, for all 1,400 markets?

Hourly sales of two channels made from a seed, six weeks of history, a window of ten hours. ``POLARS_MAX_THREADS=1 python -m benchmarks estimate``
"""

import argparse
import os
import statistics
import sys
import time
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from warehouse.analysis import estimate_loss

FIRST = datetime(2025, 1, 20)  # noqa: DTZ001 - local, as sales are
DAYS = 42


def country(markets: int) -> pl.DataFrame:
    """Sales of markets in seventeen regions: at, market_id, region, channel, sales; hours without any are absent."""
    rng = np.random.default_rng(1)
    hours = np.interp(np.arange(24), [0, 6, 8, 11, 14, 18, 22, 24], [0.1, 0.2, 3, 8, 6, 8, 1, 0.1])
    mean = rng.gamma(1.0, 0.3, markets)[:, None, None, None] * np.array([0.6, 0.4])[:, None, None] * (rng.normal(1, 0.05, DAYS)[:, None] * hours)
    market, channel, day, hour = np.nonzero(sold := rng.poisson(mean))
    at = np.datetime64(FIRST, "us") + (day * 24 + hour) * np.timedelta64(1, "h")
    names, regions, channels = (pl.Series([f"{letter}{n:04d}" for n in range(count)]) for letter, count in (("m", markets), ("r", 17), ("c", 2)))
    columns = {"at": at, "market_id": names.gather(market), "region": regions.gather(market % 17), "channel": channels.gather(channel)}
    return pl.DataFrame({**columns, "sales": 25_000.0 * sold[market, channel, day, hour]})


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 where the median takes longer than ``--most`` seconds of processor time."""
    options = argparse.ArgumentParser(prog="python -m benchmarks estimate", description="Seconds that an estimate of all markets takes, with its intervals.")
    options.add_argument("--markets", type=int, default=1_400)
    options.add_argument("--turns", type=int, default=5)
    options.add_argument("--most", type=float, default=1.0, help="seconds of processor time above which this fails")
    given = options.parse_args(arguments)
    sales = country(given.markets)
    end = FIRST + timedelta(days=DAYS) - timedelta(hours=4)
    clock, cpu = [], []
    for _ in range(given.turns):
        began, used = time.perf_counter(), time.process_time()
        found = estimate_loss(sales, end - timedelta(hours=10), end)
        clock.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    print(f"{given.markets:,} markets, {len(sales):,} rows, {len(found.by_market):,} intervals by market")
    print(
        f"median of {given.turns}: {statistics.median(clock):.2f} s by the clock, {statistics.median(cpu):.2f} s of processor time, "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    )
    if statistics.median(cpu) > given.most:
        print(f"Expected at most {given.most} s of processor time, got {statistics.median(cpu):.2f}.", file=sys.stderr)
        return 1
    return 0
