"""Answers as files that people take away: CSV, Parquet, XLSX."""

import io

import polars as pl

from warehouse.spreadsheets import flat, neutralised, with_offsets, workbook

TYPES = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


def written(frame: pl.DataFrame, form: str) -> bytes:
    """``frame`` as ``csv`` (UTF-8 with its mark, so that spreadsheets read Hangul; times with their offset), ``parquet`` or ``xlsx``. Texts that a spreadsheet would run are neutralised."""
    buffer = io.BytesIO()
    if form == "xlsx":
        return workbook(frame)
    if form == "parquet":
        frame.write_parquet(buffer)
    else:
        frame.pipe(with_offsets).pipe(flat).pipe(neutralised).write_csv(buffer, include_bom=True)
    return buffer.getvalue()
