"""Files that people make by hand or save from a Korean spreadsheet: their letters, and times as they are written."""

import re
from datetime import date, datetime

ENCODINGS = ("utf-8-sig", "cp949")
"""What is tried, in this order: CP949 is what a Korean spreadsheet saves a CSV in, and no Hangul of it is UTF-8."""

_WRITTEN = re.compile(
    r"(\d{4})\s*[-./년]\s*(\d{1,2})\s*[-./월]\s*(\d{1,2})\s*[.일]?"
    r"(?:(?:T|\s+)(오전|오후|AM|PM)?\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,6})\d*)?)?\s*(AM|PM)?\s*(Z|[+-]\d{2}:?\d{2})?)?",
    re.IGNORECASE,
)


class EncodingError(ValueError):
    """Bytes that are text in none of the encodings."""


def decoded(raw: bytes) -> str:
    """Text in UTF-8, with its mark or without, or in CP949.

    Raises:
        EncodingError: it is neither.
    """
    for encoding in ENCODINGS:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise EncodingError("is neither UTF-8 nor CP949. Save it as one of them.")


def time_of(text: str) -> date | datetime | None:
    """A time as people write it: ISO 8601, ``2025-03-01 9:00``, ``2025. 3. 1. 오후 1:05``; a date alone is a date. None where it is no time."""
    text = text.strip()
    found = _WRITTEN.fullmatch(text)
    try:
        return _assembled(*found.groups()) if found else _iso(text)
    except ValueError:
        return None


def _assembled(*parts: str | None) -> date | datetime:
    year, month, day, before, hour, minute, second, fraction, behind, zone = parts
    on = date(int(year or 0), int(month or 0), int(day or 0))
    if hour is None:
        return on
    clock = f"{_hour(int(hour), before or behind):02}:{minute}:{second or '00'}.{(fraction or '').ljust(6, '0')}"
    return datetime.fromisoformat(f"{on}T{clock}{(zone or '').upper()}")


def _hour(hour: int, half: str | None) -> int:
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError(hour)
    return hour % 12 + (12 if half.upper() in {"오후", "PM"} else 0)


def _iso(text: str) -> date | datetime:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text)
