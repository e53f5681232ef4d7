"""Which days are alike: Korean day types by date in Asia/Seoul."""

from datetime import date, timedelta
from functools import cache

import holidays
import polars as pl

from warehouse.analysis.errors import AnalysisError, FrameError, need_columns

WORKDAY, SATURDAY, SUNDAY_OR_HOLIDAY = "workday", "saturday", "sunday_or_holiday"


def day_types(first: date, last: date) -> pl.DataFrame:
    """The type of each day from ``first`` to ``last``, both included.

    Public holidays with their substitute days count as Sundays; they come from the package ``holidays``, country KR.
    Returns ``date``, ``day_type`` (``workday``, ``saturday`` or ``sunday_or_holiday``).
    """
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return pl.DataFrame({"date": days, "day_type": [_day_type(day) for day in days]}, schema={"date": pl.Date, "day_type": pl.String})


def types_of(days: list[date], calendar: pl.DataFrame | None) -> list[str]:
    """The type of each of ``days``, from ``calendar`` (``date``, ``day_type``) or, without one, the Korean calendar.

    Raises:
        FrameError: a column is missing or holds no dates.
        AnalysisError: the calendar does not hold each day once.
    """
    if calendar is None:
        return [_day_type(day) for day in days]
    need_columns(calendar, "calendar", ("date", "day_type"))
    if calendar["date"].dtype != pl.Date and not isinstance(calendar["date"].dtype, pl.Datetime):
        raise FrameError(f"calendar: expected dates in 'date', got {calendar['date'].dtype}. Parse them first, e.g. with str.to_date().")
    known = dict(zip(calendar["date"].cast(pl.Date).to_list(), calendar["day_type"].cast(pl.String).to_list(), strict=True))
    if len(known) < len(calendar):
        raise AnalysisError("calendar: expected each date once, got some twice. Keep one row a date.")
    missing = [day for day in days if known.get(day) is None]
    if missing:
        raise AnalysisError(
            f"calendar: expected a day_type for every day from {days[0]} to {days[-1]}, got none for {missing[0]} and {len(missing) - 1} more. "
            "Add them, or leave the calendar out for the Korean one."
        )
    return [known[day] for day in days]


def near_feast(day: date) -> bool:
    """Whether a day is within a week before Seollal or Chuseok, or three days after: people buy for the table, then shops are shut."""
    return any(-7 <= (day - feast).days <= 3 for year in (day.year, day.year + 1) for feast in feasts_of(year))


def is_feast(day: date) -> bool:
    """Whether the day is of Seollal or Chuseok, with the day before and after the holidays: its rhythm is like no other day's."""
    around = [day + timedelta(days=n) for n in (-1, 0, 1)]
    named = [korean_holidays(one.year).get(one, "") for one in around]
    return any(feast in name for name in named for feast in ("설날", "추석"))


def _day_type(day: date) -> str:
    if day.weekday() == 6 or day in korean_holidays(day.year):
        return SUNDAY_OR_HOLIDAY
    return SATURDAY if day.weekday() == 5 else WORKDAY


@cache
def korean_holidays(year: int) -> holidays.HolidayBase:
    """Public holidays and their substitute days in a year, with Korean names; several of one day have ``; `` between them."""
    return holidays.country_holidays("KR", years=year, language="ko")


@cache
def feasts_of(year: int) -> list[date]:
    """The days of Seollal and Chuseok themselves in a year."""
    return [day for day, name in korean_holidays(year).items() if {"설날", "추석"} & set(name.split("; "))]
