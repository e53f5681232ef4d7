"""What people tell of their own sales beside them: files that several commands take."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from streams.settings import SettingError
from streams.tables import read_table

CalendarOption = Annotated[
    Path | None, typer.Option(help="With --sales: days of one kind (CSV or Parquet: date, day_type). Default: Korean workdays, Saturdays, holidays.")
]
CyclesOption = Annotated[Path | None, typer.Option(help='With --sales: market days (CSV or Parquet: market_id, days: last digits such as "2,7").')]
PromotionsOption = Annotated[
    Path | None, typer.Option(help="With --sales: promotions (CSV or Parquet: start, end, optionally factor; for a forecast low, high).")
]
ExclusionsOption = Annotated[
    Path | None, typer.Option(help="With --sales: spans that are no example, such as other incidents (CSV or Parquet: start, end, optionally market_id).")
]


def refuse_without_sales(given: Mapping[str, object]) -> None:
    """What is of a file's sales alone would be left unread where the warehouse is asked, whose own days, markets and promotions are taken.

    Raises:
        typer.BadParameter: one of them is given.
    """
    named = [f"{option} {value}" for option, value in given.items() if value]
    if named:
        raise typer.BadParameter(
            f"Expected --sales FILE beside {', '.join(given)}, got {' '.join(named)} without it. Add --sales FILE, or leave {'it' if len(named) == 1 else 'them'} out."
        )


def read_beside(sales: pl.DataFrame, files: Mapping[str, Path | None]) -> dict[str, Any]:
    """The tables of the files that are given, by their option's name without the dashes.

    Raises:
        SettingError: one cannot be read, or names none of the markets that ``sales`` are of.
    """
    found = {name: read_table(file, f"--{name}") for name, file in files.items() if file is not None}
    for name, frame in found.items():
        if {"market_id"} <= {*frame.columns} & {*sales.columns}:
            said, known = (frame["market_id"].drop_nulls().cast(pl.String) for frame in (frame, sales))
            if len(said) and not said.is_in(known.unique().to_list()).any():
                raise SettingError(
                    f"--{name} {files[name]}: expected markets of --sales such as {known.first()!r}, got {said.first()!r} and no other that is there."
                )
    return found
