"""How far off is the net shortfall by purchases, as the product has it, and by buyers where neither purchase nor attempt is told?

The second simulated world (``streams/simulator/second_world.py``), one incident a seed: on a weekday or weekend drawn at random, from 1 to 6 hours,
with or without a queue. Some cards have no account, people come back anyway. Payments and errors are what the topics would hold: the same day with
``purchase_id`` and without. ``python -m benchmarks net``
"""

import argparse
import sys
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from benchmarks._coverage import failing
from benchmarks._pictures import draw_intervals
from benchmarks.launch import hourly
from streams.simulator import Scenario, country, load_scenario
from streams.simulator.days import play_day
from streams.simulator.records import error_frame, payment_frame
from streams.simulator.second_world import second_world
from streams.simulator.truth import gross_shortfall, truth
from streams.simulator.truth import net_shortfall as true_net
from warehouse.analysis import AnalysisError, estimate_loss, net_by_buyers, net_by_purchases

KST = ZoneInfo("Asia/Seoul")
HISTORY_DAYS, CONTROL_DAYS = 21, 7
SERIOUS = 0.15
"""Incidents that lose less than this share of what was wanted are drawn again: their net cannot be told from nothing."""

Interval = tuple[float, float, float]
BY_BUYERS = {
    "ours": "ours",
    "ours, had the gross been known": "knowing_gross",
    "gross called net": "gross_estimate",
    "every return is recovery": "without_others",
}
BY_PURCHASES = {"by purchases": "purchases", "by purchases, had the gross been known": "purchases_knowing"}
"""Columns of what was measured by the names of the ways."""

INTERVALS = (
    ("of the net by purchases", "purchases_low", "purchases_high"),
    ("of the net by purchases, had the gross been known", "purchases_knowing_low", "purchases_knowing_high"),
    ("of the net by buyers", "low", "high"),
)
"""What claims to hold 90 %, with the columns of its ends."""


def world(seed: int, scale: float) -> tuple[Scenario, datetime, datetime]:
    """A world, and the incident in it."""
    rng = np.random.default_rng([seed, 11])
    day = date(2025, 5, 12) + timedelta(days=int(rng.integers(0, 14)))
    start = datetime(day.year, day.month, day.day, int(rng.integers(8, 17)), tzinfo=KST)
    end = start + timedelta(hours=int(rng.integers(1, 7)))
    incident = {
        "starts_at": start,
        "ends_at": end,
        "failure_rate": float(rng.uniform(0.4, 1.0)),
        "admitted": float(rng.choice([1.0, 0.6, 0.3])),
        "climb_minutes": float(rng.uniform(0, 20)),
    }
    given = load_scenario("ordinary-week", seed=seed, scale=scale, history_days=HISTORY_DAYS + 1)
    changed = given.with_(last_ordinary_day=day, incident=[incident], country={"markets": 300}, platform={"sends_purchase_id": False})
    return second_world(changed, seed), start, end


def events(scenario: Scenario, days: list[date]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Approvals and failures of some days as the topics tell them: local time, buyer (null: a card without an account), market, amount."""
    markets = country(scenario)
    approvals, failures = [], []
    at = (pl.col("occurred_at") + 9 * 3_600_000).cast(pl.Datetime("ms")).dt.truncate("1s")
    columns = (at.alias("at"), pl.col("user_id").alias("user_key"), "market_id", "amount")
    for one in days:
        played = play_day(scenario, markets, one)
        approvals.append(payment_frame(scenario, markets, played).filter(status="approved").select(columns))
        failures.append(error_frame(scenario, markets, played).select(columns))
    return pl.concat(approvals), pl.concat(failures)


def failed_purchases(payments: pl.DataFrame, errors: pl.DataFrame) -> pl.DataFrame:
    """One row a purchase that failed, as the warehouse has them: an attempt fails once, and not if it was decided after all; the first amount that is told."""
    at = (pl.col("occurred_at") + 9 * 3_600_000).cast(pl.Datetime("ms"))
    decided = payments.filter(pl.col("status").is_in(["approved", "declined"]))
    failed = errors.filter(pl.col("purchase_id").is_not_null(), service="payment").join(decided, on=["purchase_id", "attempt"], how="anti").sort("occurred_at")
    tried = failed.group_by("purchase_id").agg(first_failure_at=at.min(), failures=pl.col("attempt").n_unique(), amount=pl.col("amount").drop_nulls().first())
    paid = payments.filter(status="approved").group_by("purchase_id").agg(recovered_at=at.min(), recovered_amount=pl.col("amount").sum())
    return tried.join(paid, on="purchase_id", how="left")


def by_purchases(scenario: Scenario, estimated: Interval, gross: float, start: datetime, end: datetime, known: datetime) -> dict[str, float] | None:
    """The net where the platform tells its purchases, from the ``estimated`` gross and from the true one. None where too few failed."""
    numbered = scenario.with_(platform={"sends_purchase_id": True})
    markets = country(numbered)
    played = play_day(numbered, markets, numbered.days[-1])
    failed = failed_purchases(payment_frame(numbered, markets, played), error_frame(numbered, markets, played))
    try:
        found, knowing = (net_by_purchases(interval, failed, start, end, as_of=known) for interval in (estimated, (gross, gross, gross)))
    except AnalysisError:
        return None
    return {
        "purchases": found.value,
        "purchases_low": found.low,
        "purchases_high": found.high,
        "purchases_knowing": knowing.value,
        "purchases_knowing_low": knowing.low,
        "purchases_knowing_high": knowing.high,
    }


def measure(seed: int, scale: float) -> dict[str, float] | None:
    """One incident: the truth, ours with its interval, and simpler ways. None where it lost too little."""
    scenario, start, end = world(seed, scale)
    cells = truth(scenario)
    gross, net = float(gross_shortfall(cells, start, end)), float(true_net(cells, start, end))
    sales = hourly(cells)
    first, last = start.replace(tzinfo=None), end.replace(tzinfo=None)
    cycles = country(scenario).filter(pl.col("cycle").is_not_null()).select("market_id", days="cycle")
    found = estimate_loss(sales, first, last, cycles=cycles)
    if gross < SERIOUS * (gross + found.observed):
        return None
    approvals, failures = events(scenario, list(scenario.days[-CONTROL_DAYS - 1 :]))
    try:
        # the day of the incident is the last one of the world
        known = datetime.combine(last.date() + timedelta(days=1), datetime.min.time())
        ours = net_by_buyers((found.lost, found.low, found.high), failures, approvals, first, last, as_of=known)
        knowing = net_by_buyers((gross, gross, gross), failures, approvals, first, last, as_of=known)
    except AnalysisError as error:
        print(f"seed {seed}: {error}", file=sys.stderr)
        return None
    purchases = by_purchases(scenario, (found.lost, found.low, found.high), gross, first, last, known)
    if purchases is None:
        print(f"seed {seed}: too few purchases failed", file=sys.stderr)
        return None
    back = _came_back(failures, approvals, first, last)
    return {
        "seed": seed,
        "gross": gross,
        "net": net,
        "full": gross + found.observed,
        "ours": ours.value,
        "low": ours.low,
        "high": ours.high,
        "gross_estimate": found.lost,
        "gross_covered": float(found.low <= gross <= found.high),
        "knowing_gross": knowing.value,
        "knowing_covered": float(knowing.low <= net <= knowing.high),
        "without_others": found.lost * (1 - back),
        "made_up": ours.made_up.share,
        "unseen": ours.unseen,
        "truly_made_up": 1 - net / gross,
        **purchases,
    }


def _came_back(failures: pl.DataFrame, approvals: pl.DataFrame, start: datetime, end: datetime) -> float:
    """The share of buyers who failed that bought in the same market in the 24 hours after: ordinary visits count as recovery."""
    failed = failures.filter(pl.col("at").is_between(start, end, closed="left"), pl.col("user_key").is_not_null()).select("user_key", "market_id").unique()
    later = approvals.filter(pl.col("at").is_between(end, end + timedelta(hours=24))).select("user_key", "market_id").unique()
    return len(failed.join(later, on=["user_key", "market_id"], how="semi")) / max(len(failed), 1)


def bootstrap(covered: np.ndarray) -> tuple[float, float]:
    """A 90 % bootstrap interval over days (one incident is one day) of a share, in percent."""
    drawn = np.random.default_rng(0).integers(0, len(covered), (4000, len(covered)))
    low, high = np.quantile(100 * covered[drawn].mean(axis=1), [0.05, 0.95])
    return float(low), float(high)


def table(found: pl.DataFrame, ways: Mapping[str, str] = BY_BUYERS) -> pl.DataFrame:
    """A row a way: bias of the sum and mean error over the true net, in percent, and the share within 10 %."""
    rows = []
    for name, column in ways.items():
        error = found[column] - found["net"]
        off = (error / found["net"]).abs()
        rows.append((name, 100 * error.sum() / found["net"].sum(), 100 * off.mean(), 100 * off.median(), 100 * (off <= 0.1).mean()))  # type: ignore[operator]
    return pl.DataFrame(rows, schema=["way", "bias", "mean error", "median error", "within 10 %"], orient="row")


def covered(found: pl.DataFrame) -> dict[str, pl.Series]:
    """Which incidents each kind of interval that claims 90 % holds."""
    return {name: found["net"].is_between(found[low], found[high]) for name, low, high in INTERVALS} | {"of the gross": found["gross_covered"]}


def misses(found: pl.DataFrame) -> list[str]:
    """Which of them hold too few beyond chance, in sentences."""
    return failing([(f"intervals {name}", int(held.sum()), len(held)) for name, held in covered(found).items()])


def draw(found: pl.DataFrame, path: Path) -> None:
    """The intervals of the net, in percent of what would have been sold, by the true net."""
    shown = found.select((100 * pl.col(name) / pl.col("full")).alias(name) for name in ("net", "low", "high")).sort("net")
    draw_intervals(
        path, "Net shortfall in percent of what would have been sold: the truth, and 90 % intervals", f"{len(found)} incidents by their true net", shown.rows()
    )


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 where the bias exceeds 10 %, or an interval that the docs lean on does not hold what it claims."""
    options = argparse.ArgumentParser(prog="python -m benchmarks net", description="The net shortfall in the second simulated world.")
    options.add_argument("--seeds", type=int, default=60, help="how many worlds")
    options.add_argument("--first", type=int, default=1, help="the first seed")
    options.add_argument("--scale", type=float, default=0.2, help="of the simulated country")
    options.add_argument("--out", help="write one row an incident into this CSV file")
    options.add_argument("--picture", type=Path, help="draw the intervals into this SVG")
    given = options.parse_args(arguments)
    rows = [row for seed in range(given.first, given.first + given.seeds) if (row := measure(seed, given.scale)) is not None]
    found = pl.DataFrame(rows)
    if given.out:
        found.write_csv(given.out)
    if given.picture:
        draw(found, given.picture)
    purchases, result = table(found, BY_PURCHASES), table(found)
    with pl.Config(tbl_cols=-1, tbl_width_chars=160, fmt_str_lengths=60, float_precision=1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(purchases)
        print(result)
    within = covered(found) | {"of the net by buyers, had the gross been known": found["knowing_covered"]}
    print(f"{len(found)} incidents; 90 % intervals")
    for name, held in within.items():
        low, high = bootstrap(held.to_numpy())
        print(f"  {name} hold {100 * float(held.mean()):.1f} % ({low:.1f} to {high:.1f})")  # type: ignore[arg-type]
    wrong = misses(found)
    biased = max(abs(purchases["bias"][0]), abs(result["bias"][0]))  # type: ignore[type-var]
    if biased > 10:
        wrong.append(f"Expected the sum of the nets within 10 %, got a bias of {biased:.1f} %.")
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return int(bool(wrong))
