"""How far off is the loss estimate? Known losses are put into real hourly sales, and estimated with two weeks of history.

Data: FreshRetailNet-50K (arXiv 2505.16319), summed to hourly sales of stores: a Parquet file with ``store_id``, ``city_id``, ``dt``,
``hour``, ``sales``, ``holiday``. Run: ``python -m benchmarks.accuracy --data DIR``, where DIR (or DIR/freshretail) holds the file.
"""

import argparse
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

import numpy as np
import polars as pl

from benchmarks._rivals import followed_median, oracle, structural
from warehouse.analysis import estimate_loss

FILE = "public_even_stores_60d.parquet"
FIRST_DAY, HALF_DAY = 29, 44
"""Incidents start after a month, so that any history up to four weeks fits before them; the other day parts the rest into halves."""

FIRST_HOUR, LAST_HOUR = 8, 23


@dataclass(frozen=True)
class Draw:
    """How incidents are drawn: how many a seed, lengths in hours, on which days (indices), and how many stores a city must have to be hit as one."""

    count: int = 300
    hours: tuple[int, ...] = (1, 2, 3, 4, 6)
    days: tuple[int, int] = (FIRST_DAY, 60)
    smallest_city: int = 15

    @property
    def within_a_day(self) -> bool:
        """Whether every window begins after 08:00 and ends by 23:00 of one day; longer ones begin at any hour."""
        return max(self.hours) < LAST_HOUR - FIRST_HOUR


Incident = tuple[str, datetime, datetime, float, list[str] | None]


def incidents(sales: pl.DataFrame, draw: Draw, seed: int) -> Iterator[Incident]:
    """Windows of some hours: scope, start, end, share lost, and the stores hit (None: all), in turn for each scope."""
    rng = np.random.default_rng(seed)
    days = sales["at"].dt.date().unique().sort()
    size = sales.group_by("market_id", "region").agg(pl.col("sales").sum()).sort("market_id")
    cities = size.group_by("region").len().filter(pl.col("len") >= draw.smallest_city)["region"].sort().to_list()
    larger = size.filter(pl.col("sales") > pl.col("sales").median())["market_id"].to_list()
    for number in range(draw.count):
        scope = ("nation", "city", "store")[number % 3]
        hours = int(rng.choice(draw.hours))
        over = 0 if draw.within_a_day else -(-(hours + 23) // 24) - 1
        day: date = days[int(rng.integers(draw.days[0], min(draw.days[1], len(days)) - over))]
        start = datetime.combine(day, time(int(rng.integers(FIRST_HOUR, LAST_HOUR - hours) if draw.within_a_day else rng.integers(0, 24))))
        share = float(rng.choice([1.0, 0.6, 0.3]))
        city, store = str(rng.choice(cities)), str(rng.choice(larger))
        hit = {"nation": None, "city": size.filter(pl.col("region") == city)["market_id"].to_list(), "store": [store]}[scope]
        yield scope, start, start + timedelta(hours=hours), share, hit


def measure(
    sales: pl.DataFrame,
    calendar: pl.DataFrame,
    history: int,
    given: Iterator[Incident],
    cycles: pl.DataFrame | None = None,
    *,
    model: bool = False,
    back: float | None = None,
    late: int = 0,
) -> pl.DataFrame:
    """One row an incident: scope, day, kind, true loss, sales without it, ours with its interval, the same hours a week before, and like days' median.

    Also that median at today's level, an oracle that sees the hours after the window too, and, where ``model`` is asked for, a structural model. With ``back``
    another incident lies before each, of which so large a share was bought later. Incidents begin ``late`` hours before the window that is asked about.
    """
    kinds = dict(calendar.iter_rows())
    found = []
    for scope, start, end, share, hit in given:
        midnight = datetime.combine(start.date(), time())
        known = sales.filter(pl.col("at").is_between(midnight - timedelta(days=history), end, closed="left"))
        of_hit = known if hit is None else known.filter(pl.col("market_id").is_in(hit))
        sold = dict(of_hit.group_by("at").agg(pl.col("sales").sum()).iter_rows())
        hours = [start + timedelta(hours=n) for n in range((end - start) // timedelta(hours=1))]
        full = float(sum(sold.get(hour, 0.0) for hour in hours))
        if full <= 0:
            continue
        before = sum(sold.get(hour - timedelta(days=7), 0.0) for hour in hours)
        # the data may begin within the history
        past = [day for day in (midnight - timedelta(days=n) for n in range(1, history + 1)) if day.date() in kinds]
        alike = {kind: [day for day in past if kinds[day.date()] == kind] or past for kind in set(kinds.values())}
        median = sum(float(np.median([sold.get(datetime.combine(day, hour.time()), 0.0) for day in alike[kinds[hour.date()]]])) for hour in hours)
        inside = pl.col("at").is_between(start - timedelta(hours=late), end, closed="left") & (
            pl.lit(value=True) if hit is None else pl.col("market_id").is_in(hit)
        )
        hurt = known.with_columns(sales=pl.when(inside).then(pl.col("sales") * (1 - share)).otherwise("sales"))
        earlier = None
        if back is not None:
            hurt, earlier = with_earlier(hurt, start, hit, back)
        ours = estimate_loss(hurt, start, end, markets=hit, calendar=calendar, cycles=cycles, exclusions=earlier)
        left = (1 - share) * full
        followed = followed_median(sold, hours, alike[kinds[start.date()]])
        around = sales if hit is None else sales.filter(pl.col("market_id").is_in(hit))
        nearby = around.filter(pl.col("at").is_between(past[-1], end + timedelta(days=1), closed="left"))
        told_later = oracle(dict(nearby.group_by("at").agg(pl.col("sales").sum()).iter_rows()), hours, alike[kinds[start.date()]])
        free = {datetime.combine(day, time()): kind != "0" for day, kind in kinds.items()}
        told = structural(sold, past[-1], hours, free) if model else None
        row = (scope, len(hours), start.date(), kinds[start.date()], share, share * full, full, ours.lost, ours.low, ours.high, before - left, median - left)
        unlike = any(remark.code in {"missing_before", "more_before"} for remark in ours.warnings)
        found.append((*row, followed - left, told_later - left, None if told is None else told - left, unlike))
    names = ["scope", "hours", "day", "kind", "share", "true", "full", "ours", "low", "high"]
    names += ["week_before", "median", "followed", "oracle", "structural", "told"]
    return pl.DataFrame(found, schema=names, orient="row")


EARLIER_HOURS = 2


def with_earlier(sales: pl.DataFrame, start: datetime, hit: list[str] | None, back: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The sales with another incident of two hours, one to three hours before ``start``, in which nothing was sold; and that as an exclusion.

    The share ``back`` of what was lost is bought from its end on, half of it in the first hour, half of the rest in the next, and so on, until ``start``.
    """
    between = 1 + start.hour % 3
    ended = start - timedelta(hours=between)
    began = ended - timedelta(hours=EARLIER_HOURS)
    of_hit = pl.lit(value=True) if hit is None else pl.col("market_id").is_in(hit)
    inside, after = (of_hit & pl.col("at").is_between(*span, closed="left") for span in ((began, ended), (ended, start)))
    lost = float(sales.filter(inside)["sales"].sum())
    returned = pl.lit(0.0)
    for hour in range(between):
        at_hour = ended + timedelta(hours=hour)
        now = float(sales.filter(of_hit & (pl.col("at") == at_hour))["sales"].sum())
        if now > 0:
            returned = pl.when(pl.col("at") == at_hour).then(back * lost * 0.5 ** (hour + 1) / now).otherwise(returned)
    factor = pl.when(inside).then(0.0).when(after).then(1 + returned).otherwise(1.0)
    places = pl.Series("market_id", [None] if hit is None else hit, pl.String)
    return sales.with_columns(sales=pl.col("sales") * factor), pl.DataFrame({"start": [began] * len(places), "end": [ended] * len(places), "market_id": places})


YARDSTICK = "pool+lvlr+didc"


def load_yardstick(path: Path) -> ModuleType:
    """Another program that estimates the same losses, by its path: it has ``panel``, ``base_day``, ``adjust`` and ``run_loss``."""
    spec = importlib.util.spec_from_file_location("yardstick", path)
    if spec is None or spec.loader is None:
        sys.exit(f"Expected a Python file for --yardstick, got {path}.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure_yardstick(yardstick: ModuleType, path: Path, panel: pl.DataFrame, given: Iterator[Incident], history: int) -> pl.DataFrame:
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
        covers = part["yardstick_covers"].cast(pl.Float64).drop_nans()
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
                100 * float(part["yardstick_winkler"].drop_nans().mean()),
            )
        )
    names = ["scope", "incidents", "ours", "yardstick", "change", "difference_low", "difference_high", "yardstick_coverage", "yardstick_winkler"]
    return pl.DataFrame(rows, schema=names, orient="row")


def table(found: pl.DataFrame, by: str = "scope") -> pl.DataFrame:
    """Bias, error, coverage and width in percent, and in how many it is ``told`` that the hour before was unlike the hours before it, with the day-block bootstrap's 90 % interval of the coverage."""
    error = pl.col("ours") - pl.col("true")
    covered = pl.col("true").is_between("low", "high")
    beyond = (pl.col("low") - pl.col("true")).clip(0) + (pl.col("true") - pl.col("high")).clip(0)
    rows = found.group_by(by).agg(
        incidents=pl.len(),
        bias=100 * error.sum() / pl.col("true").sum(),
        bias_of_expected=100 * error.sum() / pl.col("full").sum(),
        error_of_loss=100 * (error.abs() / pl.col("true")).mean(),
        error_of_expected=100 * (error.abs() / pl.col("full")).mean(),
        week_before_error=100 * ((pl.col("week_before") - pl.col("true")).abs() / pl.col("full")).mean(),
        median_error=100 * ((pl.col("median") - pl.col("true")).abs() / pl.col("full")).mean(),
        followed_error=100 * ((pl.col("followed") - pl.col("true")).abs() / pl.col("full")).mean(),
        oracle_error=100 * ((pl.col("oracle") - pl.col("true")).abs() / pl.col("full")).mean(),
        structural_error=100 * ((pl.col("structural").cast(pl.Float64) - pl.col("true")).abs() / pl.col("full")).mean(),
        told=100 * pl.col("told").mean(),
        coverage=100 * covered.mean(),
        winkler=100 * ((pl.col("high") - pl.col("low") + 20 * beyond) / pl.col("full")).mean(),
    )
    spans = {key[0]: _coverage_span(part.with_columns(covered=covered)) for key, part in found.group_by(by)}
    bounds = [pl.Series(name, [spans[key][index] for key in rows[by]]) for index, name in enumerate(("coverage_low", "coverage_high"))]
    return rows.with_columns(bounds).sort(by)


def _coverage_span(found: pl.DataFrame) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    days = found.group_by("day").agg(pl.col("covered").sum().alias("hits"), pl.len().alias("of")).sort("day")
    hits, of = days["hits"].to_numpy(), days["of"].to_numpy()
    drawn = rng.integers(0, len(days), (2000, len(days)))
    low, high = np.quantile(100 * hits[drawn].sum(axis=1) / of[drawn].sum(axis=1), [0.05, 0.95])
    return float(low), float(high)


def with_cycles(sales: pl.DataFrame, factor: float) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The sales with a 5-day cycle imposed on every third store, whose market days carry ``factor`` times another day; and the cycles."""
    stores = sales["market_id"].unique().sort().to_list()[::3]
    digits = {store: (number % 5, number % 5 + 5) for number, store in enumerate(stores)}
    last_digit = pl.col("at").dt.day().cast(pl.Int64) % 10
    held = pl.any_horizontal(pl.col("market_id").is_in([s for s, d in digits.items() if digit in d]) & (last_digit == digit) for digit in range(10))
    cycles = pl.DataFrame({"market_id": stores, "days": [f"{low},{high}" for low, high in digits.values()]})
    return sales.with_columns(sales=pl.when(held).then(pl.col("sales") * factor).otherwise("sales")), cycles


def half_of(panel: pl.DataFrame, stores: str) -> pl.DataFrame:
    """Every second store of each city, counted from 0 by id: ``even``, ``odd``, or ``all`` of them."""
    if stores == "all":
        return panel
    number = pl.col("store_id").rank("dense").over("city_id").cast(pl.Int64) - 1
    return panel.filter(number % 2 == (stores == "odd"))


def another_constant(told: str) -> None:
    """Set a number of ``warehouse.analysis``, as in ``profiles.OTHER_KIND=0.5``, to see what its choice does."""
    try:
        name, value = told.split("=")
        module, constant = name.split(".")
        held = importlib.import_module(f"warehouse.analysis.{module}")
        setattr(held, constant, type(getattr(held, constant))(value))
    except (ValueError, AttributeError, ModuleNotFoundError) as error:
        sys.exit(f"Expected MODULE.NAME=VALUE, such as profiles.OTHER_KIND=0.5, for --set, got {told!r}: {error}.")


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description="Known losses in real hourly sales (FreshRetailNet-50K, arXiv 2505.16319), and how well they are estimated.")
    options.add_argument("--data", type=Path, required=True, help=f"folder that holds {FILE}, or freshretail/{FILE}")
    options.add_argument("--history", type=int, default=14, help="days of history before the incident")
    options.add_argument("--incidents", type=int, default=300, help="incidents a seed, a third for each scope")
    options.add_argument("--hours", type=int, nargs="+", default=Draw.hours, help="lengths of the windows; 15 or more begin at any hour of the day")
    options.add_argument("--scope", choices=["nation", "city", "store"], help="only these of the incidents drawn")
    options.add_argument("--stores", choices=["all", "even", "odd"], default="all", help="every second store of each city, and nothing of the others")
    options.add_argument("--days", choices=["all", "first", "second"], default="all", help="incidents in one half of the days")
    options.add_argument("--set", nargs="+", default=[], metavar="MODULE.NAME=VALUE", help="another constant, e.g. profiles.OTHER_KIND=0.5")
    options.add_argument("--cycles", type=float, help="impose 5-day cycles on a third of the stores, whose market days carry so many times another day")
    options.add_argument("--back", type=float, metavar="SHARE", help="another incident before each, of which so much was bought in the hours after it: 0 to 1")
    options.add_argument("--late", type=int, default=0, metavar="HOURS", help="each incident begins so many hours before the window that is asked about")
    options.add_argument("--structural", action="store_true", help="a structural model (statsmodels) on the same incidents too: about a second each")
    options.add_argument("--yardstick", type=Path, help="a program to compare with on the same incidents")
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    given = options.parse_args(arguments)
    path = next((p for p in (given.data / FILE, given.data / "freshretail" / FILE) if p.is_file()), None)
    if path is None:
        sys.exit(f"Expected {FILE} in {given.data} or its folder freshretail, found none. It is made from FreshRetailNet-50K (arXiv 2505.16319).")
    for told in given.set:
        another_constant(told)
    panel = half_of(pl.read_parquet(path), given.stores)
    at = pl.col("dt").cast(pl.Datetime("us")) + pl.duration(hours="hour")
    sales = panel.select(at=at, market_id=pl.col("store_id").cast(pl.String), region=pl.col("city_id").cast(pl.String), sales=pl.col("sales").cast(pl.Float64))
    sales, cycles = (sales, None) if given.cycles is None else with_cycles(sales, given.cycles)
    calendar = panel.group_by("dt").agg(day_type=pl.col("holiday").max().cast(pl.String)).rename({"dt": "date"})
    days = {"all": (FIRST_DAY, 60), "first": (FIRST_DAY, HALF_DAY), "second": (HALF_DAY, 60)}[given.days]
    draw = Draw(given.incidents, tuple(given.hours), days, 15 if given.stores == "all" else 8)
    every = [one for seed in given.seeds for one in incidents(sales, draw, seed) if given.scope in {None, one[0]}]
    found = measure(sales, calendar, given.history, iter(every), cycles, model=given.structural, back=given.back, late=given.late)
    paired = None
    if given.yardstick and (given.cycles is not None or given.back is not None or given.late):
        sys.exit("Expected --cycles, --back and --late without --yardstick: the other program reads the file as it is.")
    if given.yardstick:
        if not draw.within_a_day:
            sys.exit(f"Expected --hours below {LAST_HOUR - FIRST_HOUR} with --yardstick, which estimates within a day; got {given.hours}.")
        with TemporaryDirectory() as folder:
            panel.write_parquet(Path(folder) / FILE)
            theirs = measure_yardstick(load_yardstick(given.yardstick), Path(folder) / FILE, panel, iter(every), given.history)
        paired = pl.concat([found, theirs], how="horizontal")
        if not np.allclose(paired["true"], paired["yardstick_true"]):
            sys.exit("Expected the same true losses on both sides, got others: the incidents are not the same.")
    with pl.Config(tbl_cols=-1, tbl_width_chars=320, float_precision=1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        found = found.with_columns(length=pl.when(pl.col("hours") <= float(np.median(given.hours))).then(pl.lit("short")).otherwise(pl.lit("long")))
        for by in ("scope", "kind", "share", "length"):
            print(table(found, by))
        if paired is not None:
            print(compared(paired))


if __name__ == "__main__":
    main()
