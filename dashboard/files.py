"""Answers as files that people take away: CSV, Parquet, XLSX."""

import io

import polars as pl

from warehouse.spreadsheets import neutralised

TYPES = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def written(frame: pl.DataFrame, form: str) -> bytes:
    """``frame`` as ``csv`` (UTF-8 with its mark, so that spreadsheets read Hangul), ``parquet`` or ``xlsx``. Texts that a spreadsheet would run are neutralised."""
    buffer = io.BytesIO()
    if form == "parquet":
        frame.write_parquet(buffer)
    elif form == "xlsx":
        _flat(frame).pipe(neutralised).write_excel(buffer, worksheet="onnuri", autofit=False, float_precision=3)
    else:
        _flat(frame).pipe(neutralised).write_csv(buffer, include_bom=True)
    return buffer.getvalue()


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """What a cell cannot hold (lists, structs, bytes, spans) as text."""
    odd = [name for name, kind in frame.schema.items() if kind.is_nested() or kind in (pl.Binary, pl.Duration, pl.Object)]
    return frame.with_columns(pl.Series(name, [None if value is None else str(value) for value in frame[name].to_list()], pl.String) for name in odd)
