"""Whether what is proven suffices for what is ahead: for each holiday, by what factor capacity must grow, before which day, and what it costs not to."""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from warehouse.analysis.capacity import Capacity
from warehouse.analysis.forecast import Forecast
from warehouse.analysis.special_days import FEAST_DAYS, next_holidays

BEFORE_FEAST = -FEAST_DAYS[0]
TIPPED = 0.4
"""The share of demand that a platform which has tipped over loses until demand has fallen: an assumption, as on the launch day; where past incidents tell another, give that."""

RECOVERS_AT = 0.75
"""A platform that has tipped over recovers when demand falls below so much of its capacity: retries keep it down before."""

_COLUMNS = {
    "name": pl.String, "first": pl.Date, "last": pl.Date, "peak_day": pl.Date, "needed": pl.Float64, "needed_p50": pl.Float64, "capacity": pl.Float64,
    "headroom": pl.Float64, "factor": pl.Float64, "before": pl.Date, "probability": pl.Float64, "expected_loss": pl.Float64,
}  # fmt: skip


_NEEDED = ("peak_day", "needed", "needed_p50", "headroom", "factor", "before", "probability", "expected_loss")


@dataclass(frozen=True)
class Headroom:
    """A row a holiday ahead, and ``all`` days together in the last; with the capacity that they are held against.

    A holiday's days are ``first`` to ``last`` (from ten days before a feast). ``needed`` is the 95 % quantile of the busiest minute, in requests a minute; ``headroom`` = capacity / needed; ``factor`` is
    by what capacity must grow ``before`` that day (1: it suffices); ``probability`` that the busiest minute of the worst single day passes it, which is less than that of any day doing so; ``expected_loss`` is the sum
    over the days, in the unit of the sales. Without a proven
    capacity only what is needed is there; of a service that nothing is known of, not even that.
    """

    table: pl.DataFrame
    capacity: Capacity

    @property
    def tightest(self) -> dict[str, Any]:
        """The row that needs most: a holiday's, or that of all days where an ordinary one needs more than any."""
        return max(self.table.iter_rows(named=True), key=lambda row: row["needed"] or 0.0)


def headroom(peaks: pl.DataFrame, attempts: Forecast, capacity: Capacity, *, amount: float, tipped: float = TIPPED, share: float | None = 1.0) -> Headroom:
    """``peaks`` as ``peak_minutes`` gives them and ``attempts`` by hour for the same days; ``amount``: sales of an attempt; ``share``: requests of the service an attempt to pay (None: not known).

    The loss of a day on which capacity is passed is ``tipped`` of the demand from the first hour above it until demand falls below three quarters of it, at the day's 95 % demand if that is what it takes.
    """
    if share is None:
        of_payments = headroom(peaks, attempts, capacity, amount=amount, tipped=tipped)
        return replace(of_payments, table=of_payments.table.with_columns(pl.lit(None, _COLUMNS[name]).alias(name) for name in _NEEDED))
    dates: list[date] = peaks["date"].to_list()
    levels = np.array([float(name[1:]) / 100 for name in peaks.columns if name.startswith("q")])
    quantiles = peaks.select("^q.*$").to_numpy() * share
    proven = capacity.proven
    passing = _passing(quantiles, levels, capacity) if proven else np.full(len(dates), np.nan)
    lost = np.array([_lost(hours * share, proven, tipped) for hours in _by_day(attempts)]) / share * amount * passing if proven else np.full(len(dates), np.nan)
    upper, half = int(np.argmin(np.abs(levels - 0.95))), int(np.argmin(np.abs(levels - 0.5)))
    rows = []
    spans = [
        (name, max(first - timedelta(days=BEFORE_FEAST if name in {"설날", "추석"} else 1), dates[0]), min(last + timedelta(days=1), dates[-1]))
        for name, first, last in next_holidays(dates[0], len(dates))
    ]
    for name, first, last in [*spans, ("all", dates[0], dates[-1])]:
        inside = np.array([first <= day <= last for day in dates])
        peak = int(np.flatnonzero(inside)[np.argmax(quantiles[inside, upper])])
        needed = float(quantiles[peak, upper])
        over = inside & (quantiles[:, upper] > (proven or np.inf))
        rows.append(
            {
                "name": name, "first": first, "last": last, "peak_day": dates[peak], "needed": needed, "needed_p50": float(quantiles[peak, half]), "capacity": proven,
                "headroom": proven / needed if proven else None, "factor": max(needed / proven, 1.0) if proven else None, "before": dates[int(np.argmax(over))] if over.any() else None,
                "probability": float(passing[inside].max()) if proven else None, "expected_loss": float(lost[inside].sum()) if proven else None,
            }
        )  # fmt: skip
    return Headroom(pl.DataFrame(rows, schema=_COLUMNS, orient="row"), capacity)


def _by_day(attempts: Forecast) -> np.ndarray:
    """The hours' upper quantile of 80 % [day, hour]: a day on which capacity is passed is a busy one."""
    names = [name for name in attempts.hours.columns if name.startswith("q")]
    wanted = min(names, key=lambda name: abs(float(name[1:]) - 80))
    return attempts.hours[wanted].to_numpy().reshape(-1, 24)


def _passing(quantiles: np.ndarray, levels: np.ndarray, capacity: Capacity) -> np.ndarray:
    """The probability that the busiest minute passes the knee, over the knee's own interval where there is one; straight in normal deviates between quantiles."""
    from statistics import NormalDist  # noqa: PLC0415

    normal = NormalDist()
    z = np.array([normal.inv_cdf(level) for level in levels])
    logs = np.log(np.maximum(quantiles, 1e-9))
    if capacity.knee and capacity.low and capacity.high:
        spread = np.log(capacity.high / capacity.low) / (2 * normal.inv_cdf((1 + capacity.level) / 2))
        knees = np.log(capacity.knee) + spread * np.array([normal.inv_cdf(p) for p in np.linspace(0.05, 0.95, 10)])
    else:
        knees = np.log([capacity.proven or 1.0])
    chances = []
    for day in logs:
        slope = max((day[-1] - day[0]) / (z[-1] - z[0]), 1e-6)
        below = [
            normal.cdf(
                z[0] + (knee - day[0]) / slope if knee < day[0] else z[-1] + (knee - day[-1]) / slope if knee > day[-1] else float(np.interp(knee, day, z))
            )
            for knee in knees
        ]
        chances.append(1 - float(np.mean(below)))
    return np.array(chances)


def _lost(hours: np.ndarray, capacity: float | None, tipped: float) -> float:
    """Attempts lost on a day of these hours; where no whole hour passes, the busiest one and those until demand has fallen."""
    a_minute = hours / 60
    above = np.flatnonzero(a_minute > (capacity or np.inf))
    start = int(above[0]) if len(above) else int(np.argmax(a_minute))
    calm = np.flatnonzero(a_minute[start:] < RECOVERS_AT * (capacity or np.inf))
    end = start + max(int(calm[0]) if len(calm) else 24 - start, 1)
    return float(hours[start:end].sum() * tipped)
