"""Hourly series to forecast: rides and sales in public data, and simulated years with lunar holidays in them."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import holidays
import numpy as np
import polars as pl

from warehouse.analysis.special_days import FEAST_DAYS, feast_offset

NO_FEASTS = pl.DataFrame({"days_from": FEAST_DAYS, "factor": [1.0] * len(FEAST_DAYS), "low": [0.7] * len(FEAST_DAYS), "high": [1.43] * len(FEAST_DAYS)})
"""Nothing is believed of what Seollal and Chuseok do: for demand that is not that of markets."""


@dataclass(frozen=True)
class Series:
    """Values [day, hour] from ``first`` on, NaN where nothing was measured; ``near`` [day]: a holiday or a day around one. Forecasts are scored from day ``since`` on.

    ``halves``: the day from which the half that is reported begins.
    """

    name: str
    first: date
    values: np.ndarray
    near: np.ndarray
    calendar: pl.DataFrame | None
    feasts: pl.DataFrame | None
    since: int
    reported: int

    def history(self, until: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        """What was known after ``until`` days, and the spans that were not measured."""
        known = self.values[:until].ravel()
        at = pl.datetime_range(start := datetime.combine(self.first, datetime.min.time()), start + timedelta(hours=len(known)), "1h", closed="left", eager=True)
        frame = pl.DataFrame({"at": at, "sales": known})
        gaps = frame.filter(pl.col("sales").is_nan()).select(start="at", end=pl.col("at") + timedelta(hours=1))
        return frame.filter(pl.col("sales").is_not_nan()), gaps


def all_series(data: Path | None, seeds: int) -> Iterator[Series]:
    """Those whose data are there."""
    if data:
        yield bikes(data / "seoul_bike" / "SeoulBikeData.csv")
        yield from shops(data / "freshretail" / "public_even_stores_60d.parquet")
        yield taxi(data / "nab" / "nyc_taxi.csv")
    for seed in range(seeds):
        yield simulated(seed)


def bikes(file: Path) -> Series:
    """Hourly rentals in Seoul, a year from 2017-12-01 (UCI Seoul Bike Sharing Demand); hours out of service are not measured."""
    with file.open(encoding="latin1") as lines:
        rows = list(csv.reader(lines))[1:]
    values = np.array([float(row[1]) if row[13] == "Yes" else np.nan for row in rows]).reshape(-1, 24)
    first = date(2017, 12, 1)
    return Series("Seoul bikes", first, values, _near(first, len(values), holidays.country_holidays("KR", years=(2017, 2018))), None, NO_FEASTS, 56, 182)


def shops(file: Path) -> Iterator[Series]:
    """FreshRetailNet-50K (arXiv 2505.16319): all stores, and the five cities that sell most; 60 days from 2024-03-28."""
    rows = pl.read_parquet(file)
    days = rows.group_by("dt").agg(pl.col("holiday").max()).sort("dt")
    kinds = ["sunday_or_holiday" if h and d.weekday() != 5 else "saturday" if h else "workday" for d, h in days.iter_rows()]
    # forecasts reach beyond the data
    later = [days["dt"][-1] + timedelta(days=n) for n in range(1, 20)]
    plain = ["saturday" if day.weekday() == 5 else "sunday_or_holiday" if day.weekday() == 6 else "workday" for day in later]
    calendar = pl.DataFrame({"date": [*days["dt"], *later], "day_type": [*kinds, *plain]})
    # Qingming, the first of May, and what was worked instead of weekends
    free = {day: "" for day, kind in zip(days["dt"].to_list(), kinds, strict=True) if kind == "sunday_or_holiday" and day.weekday() != 6}
    first, count = days["dt"][0], len(days)
    cities = rows.group_by("city_id").agg(pl.col("sales").sum()).sort("sales", descending=True)["city_id"].head(5).to_list()
    for city in [None, *cities]:
        of = rows if city is None else rows.filter(pl.col("city_id") == city)
        sums = of.group_by("dt", "hour").agg(pl.col("sales").sum()).sort("dt", "hour")
        values = sums["sales"].cast(pl.Float64).to_numpy().reshape(count, 24)
        yield Series("Fresh retail" if city is None else f"Fresh retail, city {city}", first, values, _near(first, count, free), calendar, None, 21, 30)


def taxi(file: Path) -> Series:
    """Taxi passengers in New York by hour, 2014-07-01 to 2015-01-31 (Numenta Anomaly Benchmark)."""
    with file.open(encoding="ascii") as lines:
        values = np.array([float(row[1]) for row in list(csv.reader(lines))[1:]]).reshape(-1, 24, 2).sum(axis=2)
    first = date(2014, 7, 1)
    # days on which most offices are shut; on Columbus and Veterans Day they are not
    free = holidays.financial_holidays("NYSE", years=(2014, 2015))
    days = [first + timedelta(days=n) for n in range(-3, len(values) + 20)]
    kinds = ["sunday_or_holiday" if d.weekday() == 6 or d in free else "saturday" if d.weekday() == 5 else "workday" for d in days]
    return Series("Taxi rides", first, values, _near(first, len(values), free), pl.DataFrame({"date": days, "day_type": kinds}), None, 56, 108)


def simulated(seed: int) -> Series:
    """Two years of the simulated nation from 2023-01-01 on: Poisson payments by hour, with what the simulator's feasts, holidays, growth and noise do to them."""
    from streams.simulator import country, load_scenario  # noqa: PLC0415 - only where they are asked for
    from streams.simulator.chance import draws  # noqa: PLC0415
    from streams.simulator.rhythm import market_levels, minute_profiles  # noqa: PLC0415

    scenario = load_scenario("ordinary-week", seed=90_000 + seed)
    markets = country(scenario)
    first, count = date(2023, 1, 1), 731
    values = np.zeros((count, 24))
    for n in range(count):
        day = first + timedelta(days=n)
        level, held = market_levels(scenario, markets, day)
        profiles = minute_profiles(scenario, day, markets["region"].n_unique())
        region = markets["region"].rank("dense").to_numpy().astype(int) - 1
        for kind, of in enumerate((~held, held)):
            weight = np.bincount(region[of], level[of], len(profiles))
            values[n] += (weight @ profiles[:, kind]).reshape(24, 60).sum(axis=1)
    values = draws(scenario.seed, "forecast").poisson(values).astype(float)
    near = _near(first, count, holidays.country_holidays("KR", years=(2023, 2024)))
    near |= np.array([-7 <= feast_offset(first + timedelta(days=n)) <= 3 for n in range(count)])
    return Series(f"Simulated years {seed}", first, values, near, None, None, 200, 366)


def _near(first: date, count: int, free: dict[date, str] | holidays.HolidayBase) -> np.ndarray:
    """Holidays and the days beside them."""
    return np.array([any(first + timedelta(days=n + shift) in free for shift in (-1, 0, 1)) for n in range(count)])
