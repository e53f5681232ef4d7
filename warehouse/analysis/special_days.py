"""What is special about a day, as columns of a regression with what is believed of each before any was seen."""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import numpy as np
import polars as pl

from warehouse.analysis.calendar import SATURDAY, SUNDAY_OR_HOLIDAY, feasts_of, korean_holidays, types_of
from warehouse.analysis.errors import AnalysisError, need_columns
from warehouse.analysis.panel import Array, Codes
from warehouse.analysis.times import date_of

YEAR = 365.25
FEAST_DAYS = tuple(range(-10, 4))
HABIT, HOLIDAY, NEIGHBOUR, BRIDGE, SUBSTITUTE, NAMED, SEASON, GROWTH = 0.5, 0.15, 0.1, 0.15, 0.1, 0.1, 0.1, 0.3
"""Standard deviations of what is believed of weekdays, holidays, the days beside them, workdays between two free days, substitute holidays, one holiday's own effect,
a term of the year's course (all of a logarithm), and of growth in a year."""

SEASON_DAYS = 540
"""So much history tells the year's course from growth."""

FEASTS = pl.DataFrame(
    {
        "days_from": list(FEAST_DAYS),
        "factor": [1.05, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.6, 1.5, 0.5, 0.6, 0.8, 0.9],
        "low": [0.8, 0.8, 0.8, 0.85, 0.9, 0.9, 0.9, 0.95, 1.0, 0.8, 0.15, 0.2, 0.4, 0.6],
        "high": [1.4, 1.4, 1.5, 1.6, 1.7, 1.9, 2.2, 2.5, 2.7, 2.8, 1.6, 1.6, 1.5, 1.4],
    }
)
"""What Seollal and Chuseok are believed to do to demand, in days from the feast: factors over a like day, with ranges of 90 %. An assumption to be replaced by what is known."""


@dataclass(frozen=True)
class SpecialDays:
    """Days as rows of a regression: ``design`` [day, column] with ``means`` and ``spreads`` of the columns; the first column is the level.

    ``kinds`` are 0 workday, 1 Saturday, 2 Sunday or holiday; ``weekdays`` 0-6, a holiday's is 7. ``near`` says which days are holidays or beside one.
    ``feast`` [day] is true within the days of a great feast.
    """

    design: Array
    means: Array
    spreads: Array
    columns: list[str]
    kinds: Codes
    weekdays: Codes
    near: np.ndarray
    feast: np.ndarray
    names: list[str]


def special_days(first: int, last: int, calendar: pl.DataFrame | None = None, feasts: pl.DataFrame | None = None, *, history: int = 0) -> SpecialDays:
    """The days [first, last), days since 1970, of which the first ``history`` are known; ``calendar`` as in ``types_of``, by default Korea's.

    ``feasts``: ``days_from``, ``factor``, ``low``, ``high`` (90 %), by default ``FEASTS``; only with Korea's calendar.

    Raises:
        FrameError, AnalysisError: the calendar or the table cannot be used.
    """
    days = [date_of(day) for day in range(first - 3, last + 3)]
    believed = _believed(feasts)
    types = types_of(days, None) if calendar is None else types_of(days, _padded(calendar, days))
    free = np.array([kind == SUNDAY_OR_HOLIDAY for kind in types])
    weekend = np.array([kind == SATURDAY for kind in types]) | free
    weekday = np.array([day.weekday() for day in days])
    holiday = free & (weekday != 6)
    names = [_name(day) if calendar is None else "" for day in days]
    after_feast = np.array([feast_offset(day) if calendar is None else 99 for day in days])
    feast = after_feast < 99
    core = np.isin(after_feast, (-1, 0, 1))
    columns: list[tuple[str, Array, float, float]] = [("level", np.ones(len(days)), 0.0, 10.0)]
    weekday_of_sales = np.where(free, 6, weekday)
    columns += [(f"weekday_{n}", (weekday_of_sales == n).astype(float), 0.0, HABIT) for n in range(7)]
    columns.append(("holiday", (holiday & ~core).astype(float), 0.0, HOLIDAY))
    columns.append(("substitute", np.array([float("대체" in name) for name in names]) * holiday, 0.0, SUBSTITUTE))
    before, behind = np.append(holiday[1:], False), np.append(False, holiday[:-1])
    columns.append(("before", (before & ~free & ~feast).astype(float), 0.0, NEIGHBOUR))
    columns.append(("after", (behind & ~free & ~feast).astype(float), 0.0, NEIGHBOUR))
    bridge = ~weekend & np.append(weekend[1:], False) & np.append(False, weekend[:-1])
    columns.append(("bridge", bridge.astype(float), 0.0, BRIDGE))
    for name in sorted({name for name, is_free in zip(names, holiday & ~core, strict=True) if is_free and name}):
        columns.append((f"named {name}", np.array([float(one == name) for one in names]), 0.0, NAMED))
    if feast.any():
        columns += [(f"feast {offset:+d}", (after_feast == offset).astype(float), *of_day) for offset, of_day in believed.items()]
    position = np.arange(len(days)) - 3
    columns.append(("growth", (position - history) / YEAR, 0.0, GROWTH))
    if history >= SEASON_DAYS:
        angle = 2 * np.pi * np.array([day.timetuple().tm_yday for day in days]) / YEAR
        columns += [(f"season {wave} {n}", turn(n * angle), 0.0, SEASON) for n in (1, 2) for wave, turn in (("sin", np.sin), ("cos", np.cos))]
    inner = slice(3, len(days) - 3)
    beside = holiday | before | behind
    return SpecialDays(
        np.stack([column for _, column, _, _ in columns], axis=1)[inner],
        np.array([mean for *_, mean, _ in columns]),
        np.array([spread for *_, spread in columns]),
        [name for name, *_ in columns],
        np.where(free, 2, np.where(weekend, 1, 0)).astype(np.int64)[inner],
        np.where(holiday, 7, weekday).astype(np.int64)[inner],
        (beside | feast)[inner],
        feast[inner],
        names[3:-3],
    )


@cache
def feast_offset(day: date) -> int:
    """Days from the nearest Seollal or Chuseok within ``FEAST_DAYS``; 99 where there is none."""
    near = [(day - feast).days for year in (day.year, day.year + 1) for feast in feasts_of(year)]
    return next((offset for offset in near if offset in FEAST_DAYS), 99)


def _believed(feasts: pl.DataFrame | None) -> dict[int, tuple[float, float]]:
    """Mean and standard deviation of the logarithm for each day about a feast."""
    table = FEASTS if feasts is None else feasts
    need_columns(table, "feasts", ("days_from", "factor", "low", "high"))
    rows = {int(row["days_from"]): row for row in table.iter_rows(named=True)}
    if any(not 0 < row["low"] <= row["factor"] <= row["high"] for row in rows.values()):
        raise AnalysisError("feasts: expected 0 < low <= factor <= high in every row. Give low and high as factors, like 0.9 and 2.2.")
    return {
        offset: (float(np.log(row["factor"])), float(np.log(row["high"] / row["low"]) / (2 * 1.645))) if (row := rows.get(offset)) else (0.0, 0.5)
        for offset in FEAST_DAYS
    }


def _padded(calendar: pl.DataFrame, days: list[date]) -> pl.DataFrame:
    """The calendar with the three days before and after it as if they were no holidays."""
    need_columns(calendar, "calendar", ("date", "day_type"))
    known = set(calendar["date"].cast(pl.Date).to_list())
    more = [day for day in (*days[:3], *days[-3:]) if day not in known]
    kinds = ["saturday" if day.weekday() == 5 else "sunday_or_holiday" if day.weekday() == 6 else "workday" for day in more]
    extra = pl.DataFrame({"date": more, "day_type": kinds}, schema={"date": pl.Date, "day_type": pl.String})
    return pl.concat([calendar.select(pl.col("date").cast(pl.Date), pl.col("day_type").cast(pl.String)), extra])


def _name(day: date) -> str:
    names = str(korean_holidays(day.year).get(day, "")).split("; ")
    return next((name for name in names if name in {"설날", "추석"}), names[0])


def next_holidays(first: date, days: int) -> list[tuple[str, date, date]]:
    """Korean holidays from ``first`` on, each with its first and last free day in a row (weekends between or beside them count)."""
    found: list[tuple[str, date, date]] = []
    for day in (first + timedelta(days=n) for n in range(days)):
        name = _name(day)
        if not name:
            continue
        if found and all((found[-1][2] + timedelta(days=n)).weekday() >= 5 for n in range(1, (day - found[-1][2]).days)):
            kept = found[-1][0] if "다음날" in name or "대체" in name else name
            feast = next((one for one in (found[-1][0], name) if one in {"설날", "추석"}), kept)
            found[-1] = (feast, found[-1][1], day)
        else:
            found.append((name, day, day))
    return found
