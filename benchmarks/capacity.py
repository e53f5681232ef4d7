"""Whether the interval of a knee covers the capacity that a simulated platform has, and how early a warning comes before its failures.

Knee: three ordinary weeks, then four days of a promotion, on a platform whose payments take between 0.75 and 0.95 times what the promotion's busiest minutes want. Warning: the shipped ``holiday-rush`` with other seeds, its
capacity known; and months of ordinary days on platforms that take 1.2 times their busiest minute.

    python -m benchmarks capacity --seeds 20
"""

import argparse
import sys
import time
from datetime import date, datetime, timedelta

import msgspec
import numpy as np
import polars as pl

from streams.simulator import Scenario, country, load_scenario
from streams.simulator.days import play_day
from streams.simulator.happenings import Capacity as Limit
from streams.simulator.happenings import Promotion
from streams.simulator.load import load_frame
from streams.simulator.scenario import KST
from warehouse.analysis.capacity import capacity_of
from warehouse.analysis.early_warning import course, notices
from warehouse.analysis.forecast import forecast
from warehouse.analysis.peaks import peak_minutes

RUSH_PAYMENTS = 555.0


def minutes(scenario: Scenario, markets: pl.DataFrame, day: date) -> pl.DataFrame:
    """The payment service's minutes of a day, in Seoul's time."""
    load = load_frame(scenario, play_day(scenario, markets, day)).filter(pl.col("service") == "payment")
    at = pl.from_epoch("occurred_at", time_unit="ms").dt.offset_by("9h").dt.truncate("1m")
    return load.group_by(minute_at=at).agg(pl.col("attempts", "failed").sum()).sort("minute_at")


def knee(seed: int) -> dict[str, float | int | bool]:
    """One platform: its capacity, and the interval found."""
    rng = np.random.default_rng(seed)
    last = date(2025, 4, 30)
    base = load_scenario("ordinary-week", seed=70_000 + seed).with_(last_ordinary_day=last)
    markets = country(base)
    factor = float(rng.uniform(2, 5))
    opens = datetime(2025, 4, 27, tzinfo=KST)
    promotion = Promotion(label="p", starts_at=opens, ends_at=opens + timedelta(days=4), factor=factor)
    plain = msgspec.structs.replace(base, promotion=(promotion,))
    busiest = minutes(plain, markets, date(2025, 4, 29))["attempts"].rolling_mean(15).max()
    limit = float(busiest) * float(rng.uniform(0.75, 0.95))  # type: ignore[arg-type]
    scenario = msgspec.structs.replace(plain, capacity=(Limit(starts_at=datetime(2025, 4, 1, tzinfo=KST), payment=limit, queue=limit * 3, login=limit * 4),))
    days = [last - timedelta(days=back) for back in range(24, -1, -1)]
    found = capacity_of(pl.concat(minutes(scenario, markets, day) for day in days))
    low, high = found.low or np.nan, found.high or np.nan
    return {
        "seed": seed,
        "true": limit,
        "knee": found.knee or np.nan,
        "low": low,
        "high": high,
        "onsets": found.evidence,
        "covered": bool(low <= limit <= high),
    }


def rush(seed: int) -> dict[str, float | int | str]:
    """One holiday rush: when failures begin, and how long before that the first notice came."""
    scenario = load_scenario("holiday-rush", seed=80_000 + seed)
    markets = country(scenario)
    day = date(2025, 1, 10)
    history = pl.concat(minutes(scenario, markets, day - timedelta(days=back)) for back in range(28, 0, -1))
    today = minutes(scenario, markets, day)
    failing = today.filter((pl.col("failed") >= 5) & (pl.col("failed") > 0.05 * pl.col("attempts")))["minute_at"]
    begins = failing[0] if len(failing) else None
    given = notices(today.filter(pl.col("minute_at") < begins) if begins else today, course(history, datetime(2025, 1, 10)), RUSH_PAYMENTS)  # noqa: DTZ001 - Seoul's
    lead = (begins - given[0].at).total_seconds() / 60 if begins and given else np.nan
    return {"seed": seed, "fails_at": f"{begins:%H:%M}" if begins else "never", "lead": lead}


def quiet(seed: int, margin: float) -> int:
    """False notices in a month of ordinary days on a platform that takes ``margin`` times the month's busiest five minutes."""
    scenario = load_scenario("ordinary-week", seed=60_000 + seed).with_(last_ordinary_day=date(2025, 4, 30))
    markets = country(scenario)
    days = [date(2025, 4, 30) - timedelta(days=back) for back in range(57, -1, -1)]
    loads = {day: minutes(scenario, markets, day) for day in days}
    busiest = max(float(load["attempts"].rolling_mean(5).max()) for load in loads.values())  # type: ignore[arg-type]
    found = 0
    for day in days[28:]:
        history = pl.concat(loads[one] for one in days if one < day)
        found += len(notices(loads[day], course(history, datetime.combine(day, datetime.min.time())), busiest * margin))
    return found


def peaks(seed: int) -> list[tuple[bool, ...]]:
    """Whether the busiest minute of each of 14 days stayed below its quantiles, forecast from 60 ordinary days."""
    scenario = load_scenario("ordinary-week", seed=50_000 + seed).with_(last_ordinary_day=date(2025, 4, 30))
    markets = country(scenario)
    last = date(2025, 4, 30)
    frame = pl.concat(minutes(scenario, markets, last - timedelta(days=back)) for back in range(73, -1, -1))
    as_of = datetime.combine(last - timedelta(days=13), datetime.min.time())
    known = frame.filter(pl.col("minute_at") < as_of)
    hours = known.group_by(at=pl.col("minute_at").dt.truncate("1h")).agg(sales=pl.col("attempts").sum()).sort("at")
    found = peak_minutes(forecast(hours, as_of=as_of, days=14), known)
    came = frame.filter(pl.col("minute_at") >= as_of).group_by(date=pl.col("minute_at").dt.date()).agg(most=pl.col("attempts").max())
    both = found.join(came, on="date")
    return [tuple(row["most"] <= row[name] for name in ("q50", "q80", "q95", "q99")) for row in both.iter_rows(named=True)]


def main(arguments: list[str]) -> int:
    """Print each seed, and the shares; the exit code is 1 where a share is below what is claimed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks capacity", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--only", choices=("knee", "rush", "quiet", "peaks"), help="one part")
    asked = parser.parse_args(arguments)
    seeds = range(asked.first, asked.first + asked.seeds)
    good = True
    begun = time.perf_counter()
    if asked.only in (None, "knee"):
        rows = [_told(knee(seed)) for seed in seeds]
        covered = sum(bool(row["covered"]) for row in rows)
        width = float(np.nanmedian([(row["high"] - row["low"]) / row["knee"] for row in rows]))
        print(
            f"knee: {covered} of {len(rows)} intervals of 90 % cover the capacity; their median width is {width:.0%} of the knee; {time.perf_counter() - begun:.0f} s"
        )
        good &= covered >= 0.85 * len(rows)
    if asked.only in (None, "rush"):
        leads = [_told(rush(seed))["lead"] for seed in seeds]
        early = sum(lead >= 15 for lead in leads)  # type: ignore[operator]
        print(f"warning: 15 minutes or more before the failures in {early} of {len(leads)}; median {np.nanmedian(leads):.0f} minutes")  # type: ignore[arg-type]
        good &= early >= 0.75 * len(leads)
    if asked.only in (None, "quiet"):
        for margin in (1.0, 1.2):
            false = [quiet(seed, margin) for seed in list(seeds)[:5]]
            print(f"false notices a month of 30 ordinary days, capacity {margin} times the busiest five minutes: {', '.join(map(str, false))}")
        good &= float(np.mean(false)) <= 1
    if asked.only in (None, "peaks"):
        inside = np.array([day for seed in list(seeds)[:5] for day in peaks(seed)])
        shares = ", ".join(f"{share:.0%}" for share in inside.mean(axis=0))
        print(f"busiest minutes of {len(inside)} days below their quantiles of 50, 80, 95 and 99 %: {shares}")
    return 0 if good else 1


def _told(row: dict[str, float | int | str | bool]) -> dict[str, float | int | str | bool]:
    print("  ".join(f"{name} {value:.1f}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()), file=sys.stderr, flush=True)
    return row
