"""Numbers and times as people read them: 만/억 원 in Korean, KRW with thousands and millions in English; times in Asia/Seoul.

Functions are pure. ``None`` is shown as a dash; a page that can say why a figure is missing says so itself.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

SEOUL = ZoneInfo("Asia/Seoul")
MISSING = "–"
_MAN = 10_000
_EOK = 100_000_000
_JO = 1_000_000_000_000
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def won(amount: float | None, language: str) -> str:
    """An amount in KRW, short: ``1억 2,346만 원``, ``KRW 123.5 million``. Halves are rounded away from zero."""
    if amount is None:
        return MISSING
    whole = _rounded(amount, 1)
    sign = "−" if whole < 0 else ""
    return (_korean if language == "ko" else _english)(abs(whole), sign)


def unbroken(text: str) -> str:
    """``text`` that a line does not break inside."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def spanned(low: str, high: str, language: str) -> str:
    """From one figure or time to another: ``1만 원 ~ 2만 원``, ``KRW 10,000 to KRW 20,000``."""
    return f"{low} ~ {high}" if language == "ko" else f"{low} to {high}"


def exact_won(amount: int | None, language: str) -> str:
    """An amount to the won: ``123,456,789원``, ``KRW 123,456,789``."""
    if amount is None:
        return MISSING
    sign = "−" if amount < 0 else ""
    return f"{sign}{abs(amount):,}원" if language == "ko" else f"{sign}KRW {abs(amount):,}"


def count(number: int | None) -> str:
    """``12,345``."""
    return MISSING if number is None else f"{number:,}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share of 1 as ``12.3%``."""
    return MISSING if share is None else f"{_fixed(share * 100, digits)}%"


def duration(span: timedelta | None, language: str) -> str:
    """``1일 2시간 5분``, ``1 d 2 h 5 min``; under a minute in seconds."""
    if span is None:
        return MISSING
    seconds = max(0, int(span.total_seconds()))
    units = ("일", "시간", "분", "초") if language == "ko" else (" d", " h", " min", " s")
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    parts = [f"{number}{unit}" for number, unit in zip((days, hours, minutes), units, strict=False) if number]
    return " ".join(parts) if parts else f"{seconds}{units[3]}"


def clock(time: datetime | None) -> str:
    """The time of day in Seoul, ``10:04``."""
    return MISSING if time is None else f"{seoul(time):%H:%M}"


def clock_until(time: datetime, day_end: datetime) -> str:
    """``clock`` of a time up to which something goes, within the day that ends at ``day_end``: that midnight is its own ``24:00`` and no other day's ``00:00``."""
    return "24:00" if time == day_end else clock(time)


def moment(time: datetime | None, language: str, beside: datetime | None = None) -> str:
    """Day and time in Seoul: ``3월 1일 10:04``, ``1 Mar 10:04``. With its year where that is not the one of ``beside``, the time of what is shown."""
    if time is None:
        return MISSING
    local = seoul(time)
    if beside is None or local.year == seoul(beside).year:
        return f"{_day(local, language)} {local:%H:%M}"
    day = f"{local.year}년 {_day(local, language)}" if language == "ko" else f"{_day(local, language)} {local.year}"
    return f"{day} {local:%H:%M}"


def day_name(day: date, language: str) -> str:
    """``2025년 3월 1일 (토)``, ``Sat 1 Mar 2025``."""
    if language == "ko":
        return f"{day.year}년 {day.month}월 {day.day}일 ({'월화수목금토일'[day.weekday()]})"
    return f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}"


def near_day(day: date, language: str) -> str:
    """A day of this year or the next: ``3월 1일 (토)``, ``Sat 1 Mar``."""
    if language == "ko":
        return f"{day.month}월 {day.day}일 ({'월화수목금토일'[day.weekday()]})"
    return f"{_WEEKDAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]}"


def seoul(time: datetime) -> datetime:
    """``time`` in Asia/Seoul; a naive one is UTC, as in the warehouse."""
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(SEOUL)


def _day(local: datetime, language: str) -> str:
    return f"{local.month}월 {local.day}일" if language == "ko" else f"{local.day} {_MONTHS[local.month - 1]}"


def _korean(amount: int, sign: str) -> str:
    if amount < 100 * _MAN:
        return f"{sign}{amount:,}원"
    man = _rounded(amount, _MAN)
    if man * _MAN >= _JO:
        eok = _rounded(amount, _EOK)
        return sign + _joined((eok // _MAN, "조"), (eok % _MAN, "억"))
    return sign + _joined((man // _MAN, "억"), (man % _MAN, "만"))


def _joined(*parts: tuple[int, str]) -> str:
    return " ".join(f"{number:,}{unit}" for number, unit in parts if number) + " 원"


def _english(amount: int, sign: str) -> str:
    if amount < 100_000:
        short = f"{amount:,}"
    elif amount < 999_500:
        short = f"{_rounded(amount, 1_000)} thousand"
    elif amount < 99_950_000:
        short = f"{_fixed(amount / 1_000_000, 1)} million"
    else:
        short = f"{_rounded(amount, 1_000_000):,} million"
    return f"{sign}KRW {short}"


def _rounded(amount: float, unit: int) -> int:
    return int((Decimal(str(amount)) / unit).quantize(Decimal(1), ROUND_HALF_UP))


def _fixed(number: float, digits: int) -> str:
    text = str(Decimal(str(number)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))
    return text.replace("-", "−")
