"""How soon are incidents found, and how often is there a false alarm?

``python -m benchmarks detection`` makes countries with 100 payments a minute whose level strays, and puts incidents of known size into them;
all streams are looked at together (nation, 17 regions, 2 channels, 8 issuers, 3 services, 1,400 markets). A delay is the time from the onset to
the end of the minute that shows it; the worker's lateness comes on top. ``--data DIR`` adds two real series: calls to a bank (5-minute
slots, R package fpp2; DIR/bank_calls/calls_5min.csv) and NYC taxi rides (Numenta Anomaly Benchmark; DIR/nab).
"""

import argparse
import json
import math
import os
import statistics
import time
from collections import Counter
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks._worlds import FIRST, HISTORY_DAYS, MARKETS, World
from warehouse.analysis import detect, detect_sales
from warehouse.analysis.changes import CHANGES

NOTHING_OPEN = pl.DataFrame(schema={name: kind for name, kind in CHANGES.items() if name != "action"})
PATIENCE = 60
"""Minutes after which an incident counts as not found."""

OFTEN = {"a fifth, silent": 5}
"""What is at the edge of what can be had is tried so often a day: its delays scatter most."""

Hit = tuple[str, float, bool, dict[str, int]]
HITS: list[Hit] = [
    ("all, silent", 1.0, False, {}),
    ("half, silent", 0.5, False, {}),
    ("a fifth, silent", 0.2, False, {}),
    ("a fifth, failing", 0.2, True, {}),
    ("a twelfth, failing", 0.08, True, {}),
    ("region of 11 % silent", 1.0, False, {"region": 0}),
    ("region of 6 % silent", 1.0, False, {"region": 6}),
    ("region of 3.6 % silent", 1.0, False, {"region": 9}),
    ("region of 1 % silent", 1.0, False, {"region": 13}),
    ("cards, half silent", 0.5, False, {"channel": 0}),
    ("issuer of 22 % failing", 1.0, True, {"issuer": 0}),
    ("issuer of 6 % silent", 1.0, False, {"issuer": 7}),
]


def garwood(count: int) -> tuple[float, float]:
    """The exact 90 % interval of a Poisson mean (Garwood 1936)."""

    def below(mean: float, most: int) -> float:
        return sum(math.exp(-mean + k * math.log(mean) - math.lgamma(k + 1)) for k in range(most + 1)) if mean > 0 else 1.0

    def root(goal: float, most: int) -> float:
        low, high = 0.0, 10.0 * (most + 3)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if below(middle, most) > goal else (low, middle)
        return low

    return (root(0.95, count - 1) if count else 0.0), root(0.05, count)


def found_in(world: World, day: int, hit: Hit | None, start: int, until: int) -> pl.DataFrame:
    """What opens on a day of a world from midnight to minute ``until``, with an incident from ``start`` on."""
    events = world.events(day)
    if hit:
        events = events.hit(start, hit[1], failing=hit[2], rng=world.rng, **hit[3])
    frames = events.frames(day)
    midnight = FIRST + timedelta(days=day)
    end = midnight + timedelta(minutes=until)
    frames = {name: frame.filter(pl.col("minute_at") < end) for name, frame in frames.items()}
    changes = detect(frames["minutes"], world.usual(day), NOTHING_OPEN, since=midnight, until=end, issuers=frames["issuers"], services=frames["services"])
    return changes.filter(pl.col("action") == "opened").with_columns(minute=(pl.col("detected_at") - midnight).dt.total_minutes())


def delays(given: argparse.Namespace, rate: float, drift: float) -> tuple[dict[str, list[float]], dict[str, Counter[str]]]:
    """Minutes to each kind of incident, infinite where it was not found, and the scopes that were named."""
    waited: dict[str, list[float]] = {name: [] for name, *_ in HITS}
    named: dict[str, Counter[str]] = {name: Counter() for name, *_ in HITS}
    for seed in range(given.seeds):
        world = World(seed, rate=rate, drift=drift, days=HISTORY_DAYS + given.days, memory=given.memory)
        for day in range(HISTORY_DAYS, HISTORY_DAYS + given.days):
            for hit in [one for one in HITS for _ in range(OFTEN.get(one[0], 1))]:
                start = int(world.rng.integers(600, 1020))
                opened = found_in(world, day, hit, start, start + PATIENCE).filter(pl.col("minute") >= start)
                waited[hit[0]].append(opened["minute"][0] - start + 1 if len(opened) else math.inf)
                named[hit[0]][f"{opened['scope'][0]} {opened['scope_name'][0]}".strip() if len(opened) else "none"] += 1
    return waited, named


def false_alarms(rate: float, drift: float, weeks: int, memory: float) -> Counter[str]:
    """Incidents opened in so many weeks without any, by scope; worlds of four weeks each."""
    opened: Counter[str] = Counter()
    for seed in range(weeks // 4):
        world = World(1000 + seed, rate=rate, drift=drift, days=HISTORY_DAYS + 28, memory=memory)
        for day in range(HISTORY_DAYS, HISTORY_DAYS + 28):
            opened.update(found_in(world, day, None, 0, 1440)["scope"].to_list())
    return opened


def bound(rate: float, drift: float, share: float, memory: float = 60.0, weeks: int = 400) -> dict[float, float]:
    """The median delay of an oracle, by false alarms a week of its one stream.

    It knows expectation, drift, memory and the size of the drop, and tests the whole nation only: the likelihood ratio of the innovations of the
    Kalman filter with the true model, maximised over the onset of the last hour (Willsky and Jones 1976).
    """
    rng = np.random.default_rng(1)
    keep, noise = math.exp(-1 / memory), 1 / rate
    moved = drift**2 * (1 - keep**2)
    variance = drift**2
    for _ in range(5000):
        ahead = keep**2 * variance + moved
        variance = ahead * noise / (ahead + noise)
    spread, gain = ahead + noise, ahead / (ahead + noise)
    signature, state = [], 0.0
    for _ in range(PATIENCE):
        shift = -share - state
        signature.append(shift)
        state = keep * (state + gain * shift)

    def statistic(innovations: np.ndarray) -> np.ndarray:
        best = np.full(innovations.shape, -np.inf)
        for width in range(1, PATIENCE + 1):
            own = np.array(signature[:width])
            sums = np.apply_along_axis(np.convolve, 1, innovations, own[::-1] / spread)[:, : innovations.shape[1]]
            best = np.maximum(best, sums - (own**2).sum() / spread / 2)
        return best

    def innovations(count: int, length: int, onset: int | None) -> np.ndarray:
        level, predicted, out = rng.normal(0, drift, count), np.zeros(count), np.empty((count, length))
        for step in range(length):
            level = keep * level + rng.normal(0, math.sqrt(moved), count)
            left = 1 - share if onset is not None and step >= onset else 1.0
            seen = rng.poisson(rate * left * np.maximum(1 + level, 0)) / rate - 1
            out[:, step] = seen - predicted
            predicted = keep * (predicted + gain * out[:, step])
        return out

    quiet = statistic(innovations(weeks * 7, 1440, None))[:, PATIENCE:].max(axis=1)
    hurt = statistic(innovations(2000, 2 * PATIENCE + 60, 120))[:, 120:]
    medians = {}
    for alarms in (1.0, 0.5):
        threshold = np.quantile(quiet, 1 - alarms / 7)
        hit = hurt >= threshold
        medians[alarms] = float(np.median(np.where(hit.any(axis=1), hit.argmax(axis=1) + 1, math.inf)))
    return medians


def speed(given: argparse.Namespace, rate: float) -> None:
    """One new minute of all streams, at the end of a day: the whole day's counts are in the frames."""
    world = World(7, rate=rate, drift=0.05, days=HISTORY_DAYS + 1)
    usual = world.usual(HISTORY_DAYS)
    frames = world.events(HISTORY_DAYS).frames(HISTORY_DAYS)
    end = FIRST + timedelta(days=HISTORY_DAYS + 1)
    took, busy = [], []
    for _ in range(given.turns):
        began, used = time.perf_counter(), time.process_time()
        detect(frames["minutes"], usual, NOTHING_OPEN, since=end - timedelta(minutes=1), until=end, issuers=frames["issuers"], services=frames["services"])
        took.append(time.perf_counter() - began)
        busy.append(time.process_time() - used)
    load = os.getloadavg()[0]
    print(f"One new minute, {MARKETS:,} markets, {rate:,.0f}/min, {len(frames['minutes']):,} rows of the day: {statistics.median(took) * 1000:.0f} ms median of "
          f"{given.turns}, least {min(took) * 1000:.0f} ms, processor time {statistics.median(busy) * 1000:.0f} ms, load {load:.1f} on {os.cpu_count()} cores")  # fmt: skip


def bank(folder: Path) -> None:
    """Calls to a bank: alarms on the series as it is, and delays of drops put into it."""
    calls = np.array((folder / "bank_calls" / "calls_5min.csv").read_text().split(), dtype=np.int64).reshape(164, 169)
    days = [day for n in range(240) if (day := date(2003, 3, 3) + timedelta(n)).isoweekday() < 6][:164]
    calendar = _weekdays(days)

    def frame(calls: np.ndarray) -> pl.DataFrame:
        at = [datetime.combine(day, datetime.min.time()) + timedelta(hours=7, minutes=5 * slot) for day in days[: len(calls)] for slot in range(169)]
        return pl.DataFrame({"at": at, "sales": calls.ravel()})

    judged = len([day for day in days if day >= days[0] + timedelta(8)])
    found = detect_sales(frame(calls), calendar=calendar)
    low, high = garwood(len(found))
    print(
        f"\nBank calls: {len(found)} incidents in {judged} weekdays of 14 hours, {len(found) / judged * 5:.2f} a week of five ({low / judged * 5:.2f}–{high / judged * 5:.2f})"
    )
    rng = np.random.default_rng(5)
    known = [(row["detected_at"], row["ended_at"]) for row in found.iter_rows(named=True)]
    for thinned in (1.0, 0.1):
        for share in (1.0, 0.5, 0.2):
            waited = []
            for day in range(70, 164, 8):
                slot = int(rng.integers(36, 96))
                onset = datetime.combine(days[day], datetime.min.time()) + timedelta(hours=7, minutes=5 * slot)
                if any(low - timedelta(hours=1) <= onset <= (high or low) for low, high in known):
                    continue
                hurt = rng.binomial(calls[: day + 1], thinned) if thinned < 1 else calls[: day + 1].copy()
                per_slot = float(hurt[-10:].mean())
                hurt[-1, slot:] = rng.binomial(hurt[-1, slot:], 1 - share)
                hurt[-1, slot + 12 :] = 0
                at = frame(hurt).filter(pl.col("at") < onset + timedelta(hours=1))
                later = detect_sales(at, since=onset, calendar=calendar).filter(pl.col("detected_at") > onset)
                waited.append((later["detected_at"][0] - onset).total_seconds() / 60 if len(later) else math.inf)
            within = {minutes: np.mean([one <= minutes for one in waited]) for minutes in (5, 15, 60)}
            print(
                f"  {per_slot:4.0f} a slot, {share:4.0%} gone: median {np.median(waited):3.0f} min, found within 5 min {within[5]:.0%}, 15 min {within[15]:.0%}, 60 min {within[60]:.0%} of {len(waited)}"
            )


def taxi(folder: Path) -> None:
    """NYC taxi rides by the half-hour: labelled windows with an incident, and incidents outside of them."""
    rides = pl.read_csv(folder / "nab" / "nyc_taxi.csv", try_parse_dates=True).rename({"timestamp": "at", "value": "sales"})
    labels = json.loads((folder / "nab" / "combined_windows.json").read_text())["realKnownCause/nyc_taxi.csv"]
    windows = [tuple(datetime.fromisoformat(end) for end in window) for window in labels]
    found = detect_sales(rides, calendar=_weekdays(sorted(set(rides["at"].dt.date().to_list()))))
    inside = {n for n, (low, high) in enumerate(windows) for at in found["detected_at"] if low <= at <= high}
    outside = [at for at in found["detected_at"] if not any(low <= at <= high for low, high in windows)]
    print(
        f"\nNYC taxi: {len(inside)} of {len(windows)} windows, {len(outside)} incidents outside in 29 weeks: {', '.join(f'{at:%m-%d %H:%M}' for at in outside)}"
    )


def _weekdays(days: list[date]) -> pl.DataFrame:
    every = [days[0] + timedelta(n) for n in range((days[-1] - days[0]).days + 1)]
    return pl.DataFrame({"date": every, "day_type": [str(day.isoweekday()) for day in every]})


def main(arguments: list[str]) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="python -m benchmarks detection", description="How soon incidents are found, and false alarms.")
    options.add_argument("--data", type=Path, help="a folder with bank_calls and nab")
    options.add_argument("--rate", type=float, default=100, help="payments a minute from 10 to 18 o'clock")
    options.add_argument("--drifts", type=float, nargs="*", default=[0.05, 0.1], help="relative standard deviations of the level")
    options.add_argument("--memory", type=float, default=60.0, help="minutes after which a level has forgotten two thirds of its straying")
    options.add_argument("--seeds", type=int, default=5, help="worlds for delays")
    options.add_argument("--days", type=int, default=6, help="days of each world, with an incident of each kind a day")
    options.add_argument("--weeks", type=int, default=40, help="weeks without incidents, for false alarms")
    options.add_argument("--turns", type=int, default=9)
    given = options.parse_args(arguments)
    speed(given, given.rate)
    for drift in given.drifts:
        began = time.time()
        print(
            f"\n{given.rate:.0f} payments a minute, level straying by {drift:.0%} (memory {given.memory:.0f} min; regions {drift:.0%} more; days 10 %)",
            flush=True,
        )
        waited, named = delays(given, given.rate, drift)
        for name, each in waited.items():
            print(f"  {name:<24} median {np.median(each):4.0f} min, nine of ten {np.quantile(each, 0.9, method='higher'):4.0f}, "
                  f"within 15 min {np.mean([one <= 15 for one in each]):4.0%} of {len(each)}; named {dict(named[name].most_common(4))}", flush=True)  # fmt: skip
        if given.weeks:
            alarms = false_alarms(given.rate, drift, given.weeks, given.memory)
            weeks, count = given.weeks // 4 * 4, alarms.total()
            low, high = garwood(count)
            print(f"  false alarms: {count} in {weeks} weeks, {count / weeks:.2f} a week (90 %: {low / weeks:.2f}–{high / weeks:.2f}) {dict(alarms)}")
        oracle = bound(given.rate, drift, 0.2, given.memory)
        print(
            f"  an oracle that tests only the nation finds a fifth in {oracle[1.0]:.0f} min at one false alarm a week, {oracle[0.5]:.0f} at a half ({time.time() - began:.0f} s)",
            flush=True,
        )
    if given.data:
        bank(given.data)
        taxi(given.data)
