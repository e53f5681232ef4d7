"""How far off forecasts are, beside others in the same run: pinball loss, WAPE and coverage on weeks that were held back.

Each method forecasts 14 days by hour from midnight, anew every ``--every`` days (never a week: each weekday is forecast from near and from far), from the same history; rivals get its last 26 weeks (AutoETS eight, or it takes hours), with hours that were not measured filled by the week before.
The first half of each series is what constants were chosen on (``--half first``); the second is reported. Data as in benchmarks/_series.py; rivals need the extra ``bench``.

    make bench-forecast DATA=folder
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks._series import Series, all_series
from warehouse.analysis.forecast import LEVELS, forecast

DAYS = 14
SHORT, SHORT_EVERY = 100, 3
"""Series of so few days are forecast anew every three days."""

RIVAL_DAYS, ETS_DAYS = 182, 56
HORIZONS = {"1": (1, 1), "2-7": (2, 7), "8-14": (8, 14)}
Quantiles = np.ndarray
"""[hour, level]."""


def ours(series: Series, origin: int) -> Quantiles:
    """This project's forecast."""
    history, gaps = series.history(origin)
    as_of = datetime.combine(series.first + timedelta(days=origin), datetime.min.time())
    found = forecast(history, as_of=as_of, days=DAYS, calendar=series.calendar, feasts=series.feasts, exclusions=gaps if len(gaps) else None)
    return found.hours.select("^q.*$").to_numpy()


def rivals(names: list[str]) -> dict[str, Callable[[Series, int], Quantiles]]:
    """Seasonal naive (a week), MSTL (a day and a week) and AutoETS (a day) of statsforecast."""
    try:
        from statsforecast.models import MSTL, AutoETS, SeasonalNaive  # noqa: PLC0415 - an extra
    except ImportError:
        sys.exit("The rivals need statsforecast: pip install -e '.[bench]' -c constraints.txt. Without them: --rivals none")
    made = {"seasonal naive": lambda: SeasonalNaive(168), "MSTL": lambda: MSTL([24, 168]), "AutoETS": lambda: AutoETS(24)}
    return {name: _rival(made[name], ETS_DAYS if name == "AutoETS" else RIVAL_DAYS) for name in names}


def _rival(model: Callable[[], object], days: int) -> Callable[[Series, int], Quantiles]:
    levels = [round(100 * (2 * level - 1)) for level in LEVELS if level > 0.5]

    def quantiles(series: Series, origin: int) -> Quantiles:
        known = _filled(series.values[:origin].ravel())[-days * 24 :]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the rivals' optimizers
            found = model().forecast(y=known, h=DAYS * 24, level=levels)  # type: ignore[attr-defined]
        return np.maximum(np.stack([found["mean"], *(found[f"hi-{level}"] for level in levels)], axis=1), 0)

    return quantiles


def _filled(values: np.ndarray) -> np.ndarray:
    filled = values.copy()
    for hour in np.flatnonzero(np.isnan(filled)):
        filled[hour] = filled[hour - 168] if hour >= 168 else np.nanmean(values)
    return filled


def pinball(values: np.ndarray, quantiles: Quantiles) -> np.ndarray:
    """Mean over the levels for each hour. Koenker and Bassett (1978)."""
    off = values[:, None] - quantiles
    return np.maximum(np.array(LEVELS) * off, (np.array(LEVELS) - 1) * off).mean(axis=1)


def measured(series: Series, method: Callable[[Series, int], Quantiles], every: int, half: str) -> Iterator[dict[str, object]]:
    """One row a forecast hour."""
    first, last = (series.since, series.reported) if half == "first" else (series.reported, len(series.values))
    for origin in range(first, last - 1, every if len(series.values) > SHORT else SHORT_EVERY):
        quantiles = method(series, origin)
        days = min(DAYS, last - origin)
        values = series.values[origin : origin + days].ravel()
        loss = pinball(values, quantiles[: len(values)])
        for hour in np.flatnonzero(~np.isnan(values)):
            day = origin + hour // 24
            of = quantiles[hour]
            yield {
                "day": day,
                "horizon": hour // 24 + 1,
                "near": bool(series.near[day]),
                "value": values[hour],
                "loss": loss[hour],
                "off": abs(values[hour] - of[0]),
                **{f"in{level * 100:g}": bool(values[hour] <= of[n]) for n, level in enumerate(LEVELS)},
            }


def summed(rows: pl.DataFrame) -> pl.DataFrame:
    """Loss and WAPE in per cent of demand, coverage in per cent with its standard error over days, by method, day and horizon."""
    classes = [pl.when(pl.col("horizon").is_between(*bounds)).then(pl.lit(name)) for name, bounds in HORIZONS.items()]
    rows = rows.with_columns(horizon=pl.coalesce(classes), days=pl.when("near").then(pl.lit("holidays and around")).otherwise(pl.lit("other days")))
    parts = [rows, rows.with_columns(horizon=pl.lit("all"))]
    by_day = (
        pl.concat(parts).group_by("series", "days", "horizon", "method", "day").agg(pl.col("value", "loss", "off").sum(), pl.col("^in.*$").mean(), pl.len())
    )
    inside = [(pl.col(f"in{level * 100:g}").mean() * 100).round(1).alias(f"cov{level * 100:g}") for level in LEVELS if level > 0.5]
    spread = [(pl.col(f"in{level * 100:g}").std() / pl.len().sqrt() * 100).round(1).alias(f"±{level * 100:g}") for level in LEVELS if level > 0.5]
    found = by_day.group_by("series", "days", "horizon", "method", maintain_order=True).agg(
        (pl.col("loss").sum() / pl.col("value").sum() * 100).round(2).alias("pinball"),
        (pl.col("off").sum() / pl.col("value").sum() * 100).round(1).alias("WAPE"),
        *inside,
        *spread,
        n=pl.len(),
    )
    return found.sort("series", "days", "horizon", "pinball")


def speed(markets: int = 1_400, history: int = 400, days: int = 60) -> None:
    """How long all markets take: Poisson purchases of made markets in 17 regions, a third of them on 5-day cycles, by hour."""
    rng = np.random.default_rng(0)
    start = datetime(2025, 6, 1)  # noqa: DTZ001 - Seoul's
    shape = np.interp(np.arange(24), [0, 6, 11, 18, 22, 24], [0.1, 0.3, 7.8, 8.6, 0.8, 0.1])
    bought = rng.poisson(rng.lognormal(3.5, 1, markets)[:, None, None] * (shape / shape.sum()), (markets, history, 24))
    market, day, hour = np.nonzero(bought)
    at = pl.datetime_range(start, start + timedelta(days=history), "1h", closed="left", eager=True)
    names = pl.DataFrame({"market_id": [f"m{n:04d}" for n in range(markets)], "region": [f"r{n % 17:02d}" for n in range(markets)]})
    frame = names[market].with_columns(at=at.gather(day * 24 + hour), sales=pl.Series(bought[market, day, hour] * 25_000))
    cycles = pl.DataFrame({"market_id": names["market_id"].gather_every(3), "days": "2,7"})
    begun = time.perf_counter()
    found = forecast(frame, as_of=start + timedelta(days=history), days=days, by="market", cycles=cycles)
    print(f"{markets:,} markets, {days} days by hour from {history} days of history: {len(found.hours):,} rows in {time.perf_counter() - begun:.1f} s")


def main(arguments: list[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks forecast", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder that holds seoul_bike, freshretail and nab; without it only simulated years")
    parser.add_argument("--half", choices=("first", "second"), default="second")
    parser.add_argument("--every", type=int, default=8, help="days from one forecast to the next")
    parser.add_argument("--seeds", type=int, default=1, help="simulated countries")
    parser.add_argument("--only", default="", help="only series whose name begins so")
    parser.add_argument("--rivals", default="seasonal naive,MSTL,AutoETS", help="which, comma between them; none for none")
    parser.add_argument("--keep", type=Path, help="keep the rivals' hours here as Parquet, and take them from there when they are")
    parser.add_argument("--speed", action="store_true", help="only how long all markets take")
    asked = parser.parse_args(arguments)
    if asked.speed:
        speed()
        return 0
    names = [] if asked.rivals == "none" else asked.rivals.split(",")
    every = []
    for series in all_series(asked.data, asked.seeds):
        if not series.name.startswith(asked.only):
            continue
        for name, method in {"onnuri": ours, **(rivals(names) if names else {})}.items():
            kept = asked.keep / f"{series.name}-{name}-{asked.half}-{asked.every}.parquet" if asked.keep and name != "onnuri" else None
            begun = time.perf_counter()
            if kept and kept.exists():
                rows = pl.read_parquet(kept)
            else:
                rows = pl.DataFrame(list(measured(series, method, asked.every, asked.half)))
                if kept:
                    rows.write_parquet(kept)
            print(f"{series.name}: {name}, {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
            every.append(rows.with_columns(series=pl.lit(series.name), method=pl.lit(name)))
    found = summed(pl.concat(every))
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=160,
        tbl_hide_dataframe_shape=True,
        tbl_formatting="MARKDOWN",
        tbl_hide_column_data_types=True,
        fmt_str_lengths=40,
    ):
        print(found)
    return 0
