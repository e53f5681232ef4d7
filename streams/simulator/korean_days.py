"""What kind of day it is: weekday, public, substitute and lunar holiday, market day."""

from datetime import date
from functools import cache

import holidays
import numpy as np

_WEEKDAYS = np.array([0.97, 0.99, 1.00, 1.01, 1.09, 1.18, 0.76])
_HOLIDAY = 0.85

# Before Seollal and Chuseok people buy for the table of the feast; on the day itself most shops are shut. Days after the feast: factor.
_FEAST = {-10: 1.05, -9: 1.10, -8: 1.15, -7: 1.22, -6: 1.30, -5: 1.40, -4: 1.55, -3: 1.75, -2: 1.95, -1: 1.60, 0: 0.30, 1: 0.45, 2: 0.75, 3: 0.90}
_FEASTS = ("설날", "추석")


def day_level(day: date) -> float:
    """A day's national demand as a multiple of an average day's: weekday, Sunday-like on a Korean public holiday, and the lunar feasts."""
    weekday = float(_WEEKDAYS[day.weekday()] / _WEEKDAYS.mean())
    ordinary = min(weekday, _HOLIDAY) if day in holidays_of(day.year) else weekday
    after = _days_after_feast(day)
    if after is None:
        return ordinary
    return _FEAST[after] * (1.0 if after in {-1, 0, 1} else max(ordinary, 0.9) if after < 0 else ordinary)


def feast_factor(day: date) -> float:
    """What Seollal or Chuseok does to the day in this world: 1 on a day of neither."""
    after = _days_after_feast(day)
    return 1.0 if after is None else _FEAST[after]


def is_market_day(cycle: str | None, day: date) -> bool:
    """Whether a market of this cycle (last digits of the day of the month) has its market day."""
    return cycle is not None and str(day.day % 10) in cycle.split(",")


@cache
def holidays_of(year: int) -> holidays.HolidayBase:
    """A year's Korean public, substitute and lunar holidays."""
    return holidays.country_holidays("KR", years=year, language="ko")


def _days_after_feast(day: date) -> int | None:
    near = [(day - feast).days for year in (day.year, day.year + 1) for feast in _feast_days(year)]
    return next((after for after in near if after in _FEAST), None)


@cache
def _feast_days(year: int) -> list[date]:
    return [day for day, name in holidays_of(year).items() if any(part in _FEASTS for part in name.split("; "))]
