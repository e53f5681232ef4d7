"""Do loss intervals hold what they claim around Seollal and Chuseok, of which some weeks of history hold none?

The simulated nation of two years, in which everything fails in windows on each day from ten before a feast to three after it, 63 days of history.
``--strength`` weakens what its feasts do (1: as simulated, 0: nothing at all), ``--without-table`` tells the estimate nothing of feasts. ``python -m benchmarks feasts``
"""

import argparse
import sys
from datetime import datetime, timedelta

import polars as pl

from benchmarks._coverage import failing
from benchmarks._series import Series, simulated
from streams.simulator.korean_days import feast_factor
from warehouse.analysis import day_types, estimate_loss
from warehouse.analysis.special_days import FEAST_DAYS, feast_offset

HISTORY = timedelta(days=63)
WINDOWS = ((0, 24), (10, 6), (14, 2))
"""Hour of the day at which a window begins, and hours that it lasts."""


def weakened(series: Series, strength: float) -> pl.DataFrame:
    """Hourly sales of one place, the feasts' factors of the simulated world to the power of ``strength``."""
    values = series.values.copy()
    for n in range(len(values)):
        day = series.first + timedelta(days=n)
        if feast_offset(day) in FEAST_DAYS:
            values[n] *= feast_factor(day) ** (strength - 1)
    at = datetime.combine(series.first, datetime.min.time())
    hours = pl.datetime_range(at, at + timedelta(hours=values.size), "1h", closed="left", eager=True)
    return pl.DataFrame({"at": hours, "sales": values.ravel(), "market_id": "nation"})


def measure(sales: pl.DataFrame, first: datetime, days: int, calendar: pl.DataFrame | None) -> list[tuple[str, int, bool, float, float]]:
    """A row a window: which, days from the feast, whether the interval holds, error and width over what would have been sold and what is expected."""
    rows = []
    for day in (first + timedelta(days=n) for n in range(HISTORY.days + 1, days)):
        offset = feast_offset(day.date())
        if offset not in FEAST_DAYS:
            continue
        for hour, hours in WINDOWS:
            start = day + timedelta(hours=hour)
            end = start + timedelta(hours=hours)
            known = sales.filter(pl.col("at").is_between(start - HISTORY, end, closed="left"))
            true = float(known.filter(pl.col("at") >= start)["sales"].sum())
            found = estimate_loss(known.filter(pl.col("at") < start), start, end, complete_until=end, step=timedelta(hours=1), calendar=calendar)
            rows.append(
                (f"{hours} h from {hour}:00", offset, found.low <= true <= found.high, found.lost / true - 1, (found.high - found.low) / found.expected)
            )
    return rows


def table(found: pl.DataFrame) -> pl.DataFrame:
    """A row a window and part of the feast: how many of how many hold, mean error, and width over expected, in percent."""
    part = pl.when(pl.col("offset") < -1).then(pl.lit("-10 to -2")).when(pl.col("offset") <= 1).then(pl.lit("-1 to 1")).otherwise(pl.lit("2 and 3"))
    return (
        found.group_by("window", part.alias("days"), maintain_order=True)
        .agg(
            windows=pl.len(),
            held=pl.col("held").sum(),
            bias=100 * pl.col("error").mean(),
            error=100 * pl.col("error").abs().mean(),
            width=100 * pl.col("width").mean(),
        )
        .sort("window", "days")
    )


def main(arguments: list[str]) -> int:
    """Measure and print; returns 1 where, with the table, the windows of a row hold less than 90 % beyond chance."""
    options = argparse.ArgumentParser(prog="python -m benchmarks feasts", description="Loss intervals around Seollal and Chuseok, in simulated years.")
    options.add_argument("--seeds", type=int, default=3, help="how many worlds")
    options.add_argument("--first", type=int, default=1, help="the first seed")
    options.add_argument("--strength", type=float, default=1.0, help="of what the world's feasts do: 1 as simulated, 0 nothing")
    options.add_argument("--without-table", action="store_true", help="nothing is believed of feasts; nothing is expected of the intervals then")
    given = options.parse_args(arguments)
    rows: list[tuple[str, int, bool, float, float]] = []
    for seed in range(given.first, given.first + given.seeds):
        series = simulated(seed)
        days = len(series.values)
        # The table speaks with Korea's own calendar only: the same days given as another one know nothing of feasts.
        calendar = day_types(series.first, series.first + timedelta(days=days)) if given.without_table else None
        rows += measure(weakened(series, given.strength), datetime.combine(series.first, datetime.min.time()), days, calendar)
    result = table(pl.DataFrame(rows, schema=["window", "offset", "held", "error", "width"], orient="row"))
    with pl.Config(tbl_cols=-1, tbl_rows=-1, float_precision=1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True):
        print(result)
    if given.without_table:
        return 0
    wrong = failing([(f"{row['window']}, days {row['days']},", row["held"], row["windows"]) for row in result.iter_rows(named=True)])
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return int(bool(wrong))
