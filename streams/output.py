"""How commands print results: a table for people, JSON or CSV for programs, Parquet and XLSX into a file."""

import json
import math
import sys
from collections.abc import Collection, Sequence
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from warehouse.spreadsheets import flat, neutralised, plain, with_offsets, workbook

NO_EDGE = 10_000
"""Columns of a table that goes into a file or a pipe."""


class Format(StrEnum):
    """Forms of output."""

    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"
    xlsx = "xlsx"


FormatOption = Annotated[Format, typer.Option("--format", help="Form of the output.")]
FileFormatOption = Annotated[Format | None, typer.Option("--format", help="Form of the output; by default that of --out's ending, else a table.")]
OutOption = Annotated[Path | None, typer.Option("--out", help="Write into this file instead: .csv, .json, .parquet or .xlsx.")]


class OutputError(Exception):
    """The file cannot be written; the message says which, why, and what to do."""


def form_of(form: Format | None, out: Path | None, *, optional: bool = True) -> Format:
    """The form that was asked for: by ``--format``, by the ending of ``--out`` where that is left out, else a table on the terminal. ``optional``: the command has ``--format``.

    Raises:
        typer.BadParameter: the two name different forms, none for a file, or a file that is needed is not named.
    """
    if out is None:
        if form in {Format.parquet, Format.xlsx}:
            raise typer.BadParameter(f"--format {form} needs a file: --out FILE.{form}. Where a command has no --out, take json or csv.")
        return form or Format.table
    endings = [one for one in Format if one is not Format.table]
    said = next((one for one in endings if out.suffix.lower() == f".{one}"), None)
    if form is Format.table:
        raise typer.BadParameter(f"--format table is for the terminal, got --out {out}. Leave --format out, and name a file that ends in {_either(endings)}.")
    if form and said and form is not said:
        raise typer.BadParameter(f"--format {form} and --out {out} name two forms. Leave --format out, or write --out {out.with_suffix(f'.{form}')}")
    if (found := form or said) is None:
        raise typer.BadParameter(f"{out} should end in {_either(endings)}{', or say the form with --format' if optional else ''}.")
    return found


def _either(forms: Sequence[Format]) -> str:
    return ", ".join(f".{form}" for form in forms[:-1]) + f" or .{forms[-1]}"


def of_seoul(frame: pl.DataFrame) -> pl.DataFrame:
    """``frame`` with its naive times, which are those of the clock in Seoul, as aware ones: beside the tables' UTC nobody can tell them apart."""
    times = [name for name, kind in frame.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone is None]
    # In 1987 and 1988 clocks were set; of an hour that came twice the first is meant.
    return frame.with_columns(pl.col(times).dt.replace_time_zone("Asia/Seoul", ambiguous="earliest", non_existent="null"))


def show(frame: pl.DataFrame, form: Format, out: Path | None = None, *, shares: Collection[str] = ()) -> None:
    """Print ``frame``, or write it to ``out``; ``form_of`` says in which form. Columns that are ``shares`` of 1 are percent in a table, and numbers as they are in every other form.

    Raises:
        OutputError: ``out`` cannot be written.
    """
    try:
        _show(frame, form, out, shares)
    except OSError as error:
        if out is None:
            raise
        raise OutputError(f"{out} cannot be written: {error.strerror or error}. Name a file in a folder that is there.") from None


def _show(frame: pl.DataFrame, form: Format, out: Path | None, shares: Collection[str]) -> None:
    if out is not None and form in {Format.parquet, Format.xlsx}:
        out.write_bytes(_workbook(frame)) if form is Format.xlsx else frame.write_parquet(out)
        return
    frame = with_offsets(frame)
    if form is Format.table:
        _table(frame, shares)
        return
    text = (
        frame.pipe(flat).pipe(neutralised).write_csv()
        if form is Format.csv
        else json.dumps(finite(frame.to_dicts()), ensure_ascii=False, indent=1, default=plain) + "\n"
    )
    if out:
        # With its mark a CSV is UTF-8 to spreadsheets, too, which else read Hangul as the system's letters; a pipe's reader would take the mark for text.
        out.write_text(text, encoding="utf-8-sig" if form is Format.csv else "utf-8")
    else:
        typer.echo(text, nl=False)


def finite(value: object) -> object:
    """``value`` with null for every number that JSON has no word for: what is not a number, and the infinite ones."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    return [finite(part) for part in value] if isinstance(value, list) else value


def _workbook(frame: pl.DataFrame) -> bytes:
    try:
        return workbook(frame)
    except ValueError as error:
        raise OutputError(f"{error} Write .csv or .parquet instead, or ask for fewer rows with: onnuri sql.") from None


def _table(frame: pl.DataFrame, shares: Collection[str]) -> None:
    table = Table()
    for name, dtype in frame.schema.items():
        table.add_column(visible(name), justify="right" if dtype.is_numeric() else "left")
    for row in frame.iter_rows():
        table.add_row(*(_percent(value) if name in shares else _cell(value) for name, value in zip(frame.columns, row, strict=True)))
    # Brackets in a text are the text's own. In a file or a pipe nothing is cut: there is no edge.
    Console(markup=False, width=None if sys.stdout.isatty() else NO_EDGE).print(table)


def _percent(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) else _cell(value)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | Decimal):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return "" if value is None else visible(str(value))


def visible(text: str) -> str:
    """The text with marks that would act on the terminal, or turn the writing around, shown as their escapes."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
