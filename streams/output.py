"""How commands print results: a table for people, JSON or CSV for programs, Parquet into a file."""

import json
from enum import StrEnum
from pathlib import Path

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

RISKY = ("=", "+", "-", "@", "\t", "\r")
"""A cell of a spreadsheet that begins so may run as a formula."""


class Format(StrEnum):
    """Forms of output."""

    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"


def show(frame: pl.DataFrame, form: Format, out: Path | None = None) -> None:
    """Print ``frame``, or write it to ``out``."""
    if form is Format.parquet:
        if out is None:
            raise typer.BadParameter("--format parquet needs a file: --out FILE.parquet")
        frame.write_parquet(out)
        return
    if form is Format.table and out is None:
        _table(frame)
        return
    text = frame.pipe(neutralised).write_csv() if form is Format.csv else json.dumps(frame.to_dicts(), ensure_ascii=False, indent=1, default=str) + "\n"
    if out:
        out.write_text(text, encoding="utf-8")
    else:
        typer.echo(text, nl=False)


def neutralised(frame: pl.DataFrame) -> pl.DataFrame:
    """Put an apostrophe before texts that a spreadsheet would take for a formula."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    risky = {name: pl.any_horizontal(pl.col(name).str.starts_with(mark) for mark in RISKY) for name in texts}
    return frame.with_columns(pl.when(risky[n]).then("'" + pl.col(n)).otherwise(pl.col(n)).alias(n) for n in texts)


def _table(frame: pl.DataFrame) -> None:
    table = Table()
    for name, dtype in frame.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left")
    for row in frame.iter_rows():
        table.add_row(*(f"{v:,}" if isinstance(v, int) else f"{v:,.2f}" if isinstance(v, float) else "" if v is None else str(v) for v in row))
    Console().print(table)
