"""How far off is the loss estimate? Known losses are put into real hourly sales, and estimated with two weeks of history.

Data: FreshRetailNet-50K (arXiv 2505.16319), summed to hourly sales of stores: a Parquet file with ``store_id``, ``city_id``, ``dt``,
``hour``, ``sales``, ``holiday``. Run: ``python -m benchmarks.accuracy --data DIR``, where DIR (or DIR/freshretail) holds the file.
"""

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl

from warehouse.analysis import estimate_loss

FILE = "public_even_stores_60d.parquet"
FIRST_DAY = 29
"""Incidents start after a month, so that any history up to four weeks fits before them."""


def incidents(sales: pl.DataFrame, count: int, seed: int) -> Iterator[tuple[str, datetime, datetime, float, list[str] | None]]:
    """Windows of 1 to 6 hours of the day: scope, start, end, share lost, and the stores hit (None: all), in turn for each scope."""
    rng = np.random.default_rng(seed)
    days = sales["at"].dt.date().unique().sort()
    size = sales.group_by("market_id", "region").agg(pl.col("sales").sum()).sort("market_id")
    cities = size.group_by("region").len().filter(pl.col("len") >= 15)["region"].sort().to_list()
    larger = size.filter(pl.col("sales") > pl.col("sales").median())["market_id"].to_list()
    for number in range(count):
        scope = ("nation", "city", "store")[number % 3]
        hours = int(rng.choice([1, 2, 3, 4, 6]))
        day: date = days[int(rng.integers(FIRST_DAY, len(days)))]
        start = datetime.combine(day, time(int(rng.integers(8, 23 - hours))))
        share = float(rng.choice([1.0, 0.6, 0.3]))
        city, store = str(rng.choice(cities)), str(rng.choice(larger))
        hit = {"nation": None, "city": size.filter(pl.col("region") == city)["market_id"].to_list(), "store": [store]}[scope]
        yield scope, start, start + timedelta(hours=hours), share, hit


def measure(sales: pl.DataFrame, calendar: pl.DataFrame, history: int, count: int, seed: int) -> pl.DataFrame:
    """One row an incident: scope, day, kind, true loss, sales without it, ours with its interval, and the same hours a week before."""
    kinds = dict(calendar.iter_rows())
    found = []
    for scope, start, end, share, hit in incidents(sales, count, seed):
        midnight = datetime.combine(start.date(), time())
        known = sales.filter(pl.col("at").is_between(midnight - timedelta(days=history), end, closed="left"))
        of_hit = pl.lit(value=True) if hit is None else pl.col("market_id").is_in(hit)
        inside = of_hit & pl.col("at").is_between(start, end, closed="left")
        full = float(known.filter(inside)["sales"].sum())
        if full <= 0:
            continue
        week = timedelta(days=7)
        before = float(known.filter(of_hit & pl.col("at").is_between(start - week, end - week, closed="left"))["sales"].sum())
        hurt = known.with_columns(sales=pl.when(inside).then(pl.col("sales") * (1 - share)).otherwise("sales"))
        ours = estimate_loss(hurt, start, end, markets=hit, calendar=calendar)
        found.append((scope, start.date(), kinds[start.date()], share, share * full, full, ours.lost, ours.low, ours.high, before - (1 - share) * full))
    names = ["scope", "day", "kind", "share", "true", "full", "ours", "low", "high", "week_before"]
    return pl.DataFrame(found, schema=names, orient="row")


YARDSTICK = "pool+lvlr+didc"


def load_yardstick(path: Path) -> ModuleType:
    """Another program that estimates the same losses, by its path: it has ``panel``, ``base_day``, ``adjust`` and ``run_loss``."""
    spec = importlib.util.spec_from_file_location("yardstick", path)
    if spec is None or spec.loader is None:
        sys.exit(f"Expected a Python file for --yardstick, got {path}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure_yardstick(
    yardstick: ModuleType, path: Path, panel: pl.DataFrame, given: Iterator[tuple[str, datetime, datetime, float, list[str] | None]], history: int
) -> pl.DataFrame:
    """The yardstick on the same incidents: ``start``, ``scope``, its loss, its true loss, and what it expects of the full sales; windows within a day."""
    values, city, kinds, _ = yardstick.panel(str(path))
    stores, first = panel["store_id"].unique().sort().cast(pl.String).to_list(), panel["dt"].min()
    place = {name: index for index, name in enumerate(stores)}
    rows = []
    for scope, start, end, share, hit in given:
        mask = np.ones(len(stores), bool) if hit is None else np.zeros(len(stores), bool)
        mask[[place[name] for name in hit or []]] = True
        hours = (start.hour, start.hour + (end - start) // timedelta(hours=1))
        one = {"scope": scope, "d": (start.date() - first).days, "h0": hours[0], "h1": hours[1], "sev": share, "mask": mask}
        found = yardstick.run_loss(values, city, kinds, history, [YARDSTICK], [one])
        if len(found):
            row = found.row(0, named=True)
            rows.append((row["est"], row["G"], row["cov"], row["winkler"]))
    return pl.DataFrame(rows, schema=["yardstick", "yardstick_true", "yardstick_covers", "yardstick_winkler"], orient="row")


def compared(found: pl.DataFrame) -> pl.DataFrame:
    """Error over expected, ours less the yardstick's, in percent of the sales, with a 90 % bootstrap over days of the paired difference."""
    rng, rows = np.random.default_rng(0), []
    for (scope,), part in found.group_by("scope", maintain_order=True):
        error = part.select(
            "day", ours=(pl.col("ours") - pl.col("true")).abs() / pl.col("full"), theirs=(pl.col("yardstick") - pl.col("true")).abs() / pl.col("full")
        )
        days = error.group_by("day").agg(pl.col("ours").sum(), pl.col("theirs").sum(), pl.len().alias("of")).sort("day")
        drawn = rng.integers(0, len(days), (4000, len(days)))
        of = days["of"].to_numpy()[drawn].sum(axis=1)
        difference = 100 * (days["ours"] - days["theirs"]).to_numpy()[drawn].sum(axis=1) / of
        low, high = np.quantile(difference, [0.05, 0.95])
        ours, theirs = 100 * float(error["ours"].mean()), 100 * float(error["theirs"].mean())
        covers = part["yardstick_covers"].cast(pl.Float64)
        rows.append(
            (
                scope,
                len(part),
                ours,
                theirs,
                100 * (ours / theirs - 1),
                float(low),
                float(high),
                100 * float(covers.mean()),
                100 * float(part["yardstick_winkler"].mean()),
            )
        )
    names = ["scope", "incidents", "ours", "yardstick", "change", "difference_low", "difference_high", "yardstick_coverage", "yardstick_winkler"]
    return pl.DataFrame(rows, schema=names, orient="row")


def table(found: pl.DataFrame, by: str = "scope") -> pl.DataFrame:
    """Bias, error, coverage and width in percent, with the day-block bootstrap's 90 % interval of the coverage."""
    error = pl.col("ours") - pl.col("true")
    covered = pl.col("true").is_between("low", "high")
    beyond = (pl.col("low") - pl.col("true")).clip(0) + (pl.col("true") - pl.col("high")).clip(0)
    rows = found.group_by(by).agg(
        incidents=pl.len(),
        bias=100 * error.sum() / pl.col("true").sum(),
        error_of_loss=100 * (error.abs() / pl.col("true")).mean(),
        error_of_expected=100 * (error.abs() / pl.col("full")).mean(),
        week_before_error=100 * ((pl.col("week_before") - pl.col("true")).abs() / pl.col("full")).mean(),
        coverage=100 * covered.mean(),
        winkler=100 * ((pl.col("high") - pl.col("low") + 20 * beyond) / pl.col("full")).mean(),
    )
    spans = {key[0]: _coverage_span(part.with_columns(covered=covered)) for key, part in found.group_by(by)}
    bounds = [pl.Series(name, [spans[key][index] for key in rows[by]]) for index, name in enumerate(("coverage_low", "coverage_high"))]
    return rows.with_columns(bounds).sort(by)


def _coverage_span(found: pl.DataFrame) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    days = found.group_by("day").agg(pl.col("covered").sum().alias("hits"), pl.len().alias("of"))
    hits, of = days["hits"].to_numpy(), days["of"].to_numpy()
    drawn = rng.integers(0, len(days), (2000, len(days)))
    low, high = np.quantile(100 * hits[drawn].sum(axis=1) / of[drawn].sum(axis=1), [0.05, 0.95])
    return float(low), float(high)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="Known losses in real hourly sales (FreshRetailNet-50K, arXiv 2505.16319), and how well they are estimated.")
    options.add_argument("--data", type=Path, required=True, help=f"folder that holds {FILE}, or freshretail/{FILE}")
    options.add_argument("--history", type=int, default=14, help="days of history before the incident")
    options.add_argument("--incidents", type=int, default=300, help="incidents a seed, a third for each scope")
    options.add_argument("--yardstick", type=Path, help="a program to compare with on the same incidents")
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = options.parse_args(arguments)
    path = next((p for p in (given.data / FILE, given.data / "freshretail" / FILE) if p.is_file()), None)
    if path is None:
        sys.exit(f"Expected {FILE} in {given.data} or its folder freshretail, found none. It is made from FreshRetailNet-50K (arXiv 2505.16319).")
    panel = pl.read_parquet(path)
    at = pl.col("dt").cast(pl.Datetime("us")) + pl.duration(hours="hour")
    sales = panel.select(at=at, market_id=pl.col("store_id").cast(pl.String), region=pl.col("city_id").cast(pl.String), sales=pl.col("sales").cast(pl.Float64))
    calendar = panel.group_by("dt").agg(day_type=pl.col("holiday").max().cast(pl.String)).rename({"dt": "date"})
    found = pl.concat([measure(sales, calendar, given.history, given.incidents, seed) for seed in given.seeds])
    paired = None
    if given.yardstick:
        yardstick = load_yardstick(given.yardstick)
        every = [one for seed in given.seeds for one in incidents(sales, given.incidents, seed)]
        paired = pl.concat([found, measure_yardstick(yardstick, path, panel, iter(every), given.history)], how="horizontal")
        if not np.allclose(paired["true"], paired["yardstick_true"]):
            sys.exit("Expected the same true losses on both sides, got others: the incidents are not the same.")
    with pl.Config(tbl_cols=-1, tbl_width_chars=200, float_precision=1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        for by in ("scope", "kind", "share"):
            print(table(found, by))
        if paired is not None:
            print(compared(paired))


if __name__ == "__main__":
    main()
