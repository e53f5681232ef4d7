"""Files of people's own that a command is given."""

import csv
import io
from datetime import date, datetime
from math import floor, log10
from pathlib import Path

import polars as pl
from polars.exceptions import ComputeError, PolarsError

from streams.settings import SettingError
from warehouse.hand_made import EncodingError, decoded, time_of

NUMBERS = ("sales", "factor", "low", "high", "days_from", "concurrency", "throughput", "offered", "failed_share")
TIMES = ("at", "date", "start", "end", "starts_at", "ends_at")
"""Columns of those files, by name, that hold numbers and times."""

NAMES = ("market_id", "region", "channel")
"""Texts, whatever they look like: ``0012`` is another market than ``12``."""

GROUPED = r"^[+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$"
"""A number with thousands separators. Other commas are not guessed at: ``1,23`` may be 1.23 or a slip."""


DIGITS = 4
"""Of an amount in a unit that a file does not tell: a loss is known to two, or three."""


def decimals(size: float) -> int:
    """Decimal places that show an amount of that ``size`` with ``DIGITS`` digits; none of a thousand or more."""
    return max(DIGITS - 1 - floor(log10(size)), 0) if size > 0 else 0


def read_table(file: Path, option: str) -> pl.DataFrame:
    """A CSV (UTF-8 or CP949) or Parquet file, by its ending; its numbers and times may be texts as people and spreadsheets write them.

    Raises:
        SettingError: it cannot be read, or a number or a time is none.
    """
    kind = "Parquet" if file.suffix == ".parquet" else "CSV"
    try:
        frame = pl.read_parquet(file) if kind == "Parquet" else _csv(decoded(file.read_bytes()))
    except EncodingError as error:
        raise SettingError(f"{option} {file} {error}") from None
    except (OSError, PolarsError, csv.Error) as error:
        raise SettingError(f"{option} {file} cannot be read as {kind}: {error}") from None
    for name in frame.columns:
        if name in NUMBERS and not frame[name].dtype.is_numeric():
            frame = frame.with_columns(_numbers(frame[name], f"{option} {file}"))
        elif name in TIMES and not isinstance(frame[name].dtype, pl.Date | pl.Datetime):
            frame = frame.with_columns(_times(frame[name], f"{option} {file}"))
    return frame


def _csv(text: str) -> pl.DataFrame:
    raw = text.encode()
    try:
        return pl.read_csv(raw, try_parse_dates=True, schema_overrides=dict.fromkeys([*NUMBERS, *NAMES], pl.String))
    except ComputeError:
        # Kinds are guessed from the first rows, and a later one is not of its kind; or a row has too many fields.
        rows = csv.reader(io.StringIO(text, newline=""))
        names = next(rows)
        for row in rows:
            if len(row) > len(names):
                raise csv.Error(f"line {rows.line_num} has {len(row)} fields, the first line {len(names)}. Put texts that hold commas in quotes.") from None
        return pl.read_csv(raw, infer_schema=False)


def _numbers(texts: pl.Series, where: str) -> pl.Series:
    bare = _bare(texts)
    bare = bare.zip_with(~bare.str.contains(GROUPED), bare.str.replace_all(",", "")) if bare.count() else bare
    whole = bare.cast(pl.Int64, strict=False)
    found = whole if whole.null_count() == bare.null_count() else bare.cast(pl.Float64, strict=False)
    _check(texts, bare.is_not_null() & found.is_null(), where, "a number such as 1234000 or 1,234,000")
    return found


def _times(texts: pl.Series, where: str) -> pl.Series:
    bare = _bare(texts)
    told = {text: time_of(text) for text in bare.drop_nulls().unique()}
    _check(texts, bare.is_in([text for text, time in told.items() if time is None]), where, "a time such as 2025-03-01 09:00")
    if not any(isinstance(time, datetime) for time in told.values()):
        return bare.replace_strict(list(told), pl.Series(list(told.values()), dtype=pl.Date), return_dtype=pl.Date)
    moments = {text: time if isinstance(time, datetime) else datetime(time.year, time.month, time.day) for text, time in told.items() if isinstance(time, date)}  # noqa: DTZ001 - the local clock
    zoned = [text for text, moment in moments.items() if moment.tzinfo]
    if zoned and len(zoned) < len(moments):
        _check(texts, bare.is_not_null() & ~bare.is_in(zoned), where, f"a time with its offset as in {zoned[0]!r}, or none with any")
    kind = pl.Datetime("us", "UTC" if zoned else None)
    return bare.replace_strict(list(moments), pl.Series(list(moments.values()), dtype=kind), return_dtype=kind)


def _bare(texts: pl.Series) -> pl.Series:
    """The texts without blanks around them; null where nothing is left."""
    stripped = texts.cast(pl.String).str.strip_chars()
    return stripped.set(stripped == "", None)


def _check(texts: pl.Series, wrong: pl.Series, where: str, expected: str) -> None:
    """Refuse the first wrong one, with its row as a spreadsheet numbers it, whose first is the head."""
    row = wrong.fill_null(value=False).arg_max()
    if row is not None and wrong[row]:
        raise SettingError(
            f"{where}, row {row + 2}: {texts.name!r} is {texts[row]!r}: expected {expected}. Correct it there, or set the column's format in the spreadsheet, and save it again."
        )
