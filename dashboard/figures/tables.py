"""The published tables, as the page on data lists them."""

from dataclasses import dataclass

import polars as pl

from dashboard.figures.asking import ask
from warehouse.reading import Snapshot


@dataclass(frozen=True)
class Table:
    """One published table: how many rows, and its columns (column_name, data_type)."""

    name: str
    rows: int
    columns: pl.DataFrame


def published_tables(snapshot: Snapshot) -> list[Table]:
    """Every table that the manifest names, with or without rows."""
    names = sorted(snapshot.manifest.files)
    columns = ask(snapshot, "columns_of_tables", tables=names)
    return [
        Table(name, int(ask(snapshot, "rows_of_table", table=name)["rows"][0]), columns.filter(pl.col("table_name") == name).drop("table_name"))
        for name in names
    ]


def first_statement(table: str) -> str:
    """What the box asks where nobody has asked anything: the newest rows need an order that differs by table, so it is simply the first ones."""
    return f'SELECT * FROM "{table}" LIMIT 1000'  # noqa: S608 - a name from the manifest, shown to be changed
