"""Frames as spreadsheets may have them: no cell and no head that a program would run as a formula (CWE-1236)."""

import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import polars.selectors as cs

RISKY = r"^(?:[\s\p{Z}\p{C}]*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|[\t\r\n])"
"""A text that begins so may run as a formula: behind blanks and marks that nobody sees, and with the wide signs of East Asian keyboards, too."""


def neutralised(frame: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe, which spreadsheets take as the sign of a text, before texts and names of columns that may run as a formula.

    For every file that a spreadsheet may open, CSV and XLSX. Numbers and times stay as they are; lists and structs are to be made text before, by ``flat``.
    """
    heads = pl.Series(frame.columns, dtype=pl.String).str.replace(RISKY, "'$0")
    texts = cs.by_dtype(pl.String, pl.Categorical, pl.Enum)
    return frame.with_columns(texts.cast(pl.String).str.replace(RISKY, "'$0")).rename(dict(zip(frame.columns, heads, strict=True)))


MOST_ROWS = 1_048_575
"""Rows that a sheet holds beside its head."""


def workbook(frame: pl.DataFrame) -> bytes:
    """``frame`` as XLSX, flat and its texts neutralised. A cell's time has no zone: aware times are written as their clock shows, and their column's head says its offset.

    Raises:
        ValueError: it has more rows than a sheet holds.
    """
    if len(frame) > MOST_ROWS:
        raise ValueError(f"A sheet holds {MOST_ROWS:,} rows, got {len(frame):,}.")
    buffer = io.BytesIO()
    neutralised(flat(offsets_in_heads(frame))).write_excel(buffer, worksheet="onnuri", autofit=False, float_precision=3)
    return buffer.getvalue()


def with_offsets(frame: pl.DataFrame) -> pl.DataFrame:
    """Aware times as texts of ISO 8601 with their offset (``+09:00``), as commands and the API take them; what has no zone stays as it is."""
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone is not None]
    return frame.with_columns(pl.col(times).dt.strftime("%Y-%m-%dT%H:%M:%S%.f%:z"))


def offsets_in_heads(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with its aware times naive, as their clock shows, and the offset in the column's name: ``onset_at (+09:00)``. A column of several offsets is of UTC."""
    for name, kind in frame.schema.items():
        if not isinstance(kind, pl.Datetime) or kind.time_zone is None:
            continue
        # Where no row tells it, such as the end of what goes on, it is the zone's of today's law.
        told = frame[name].drop_nulls() if frame[name].count() else pl.Series([datetime(2025, 1, 1, tzinfo=UTC)]).dt.convert_time_zone(kind.time_zone)
        offsets = told.dt.strftime("%:z").unique().to_list()
        clock = frame[name] if len(offsets) == 1 else frame[name].dt.convert_time_zone("UTC")
        offset = offsets[0] if len(offsets) == 1 else "+00:00"
        frame = frame.with_columns(clock.dt.replace_time_zone(None)).rename({name: f"{name} ({offset})"})
    return frame


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with what a cell does not hold as text: lists and structs as JSON, bytes and spans as they are written."""
    nested = [name for name, kind in frame.schema.items() if kind.is_nested()]
    written = [pl.Series(name, [None if value is None else _json(value) for value in frame[name].to_list()], pl.String) for name in nested]
    odd = [name for name, kind in frame.schema.items() if kind in (pl.Binary, pl.Duration, pl.Object)]
    written += [pl.Series(name, [None if value is None else str(value) for value in frame[name].to_list()], pl.String) for name in odd]
    return frame.with_columns(written)


def plain(value: object) -> object:
    """What JSON has no word for. DuckDB's sums of whole numbers are decimals without decimals."""
    if isinstance(value, Decimal):
        return float(value) if value.as_tuple().exponent else int(value)
    return str(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=plain)
