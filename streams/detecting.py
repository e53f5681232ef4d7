"""Incidents in anybody's sales file, on the command line."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import polars as pl

from streams.beside import read_beside
from streams.output import of_seoul
from streams.tables import read_table
from warehouse.analysis import detect_sales

SHOWN = {
    "scope": pl.String(),
    "scope_name": pl.String(),
    "onset_at": pl.Datetime("us"),
    "detected_at": pl.Datetime("us"),
    "ended_at": pl.Datetime("us"),
    "expected": pl.Float64(),
    "observed": pl.Float64(),
    "left": pl.Float64(),
    "statistic": pl.Float64(),
}


def detect_in_file(sales: Path, beside: Mapping[str, Path | None], since: datetime | None = None) -> pl.DataFrame:
    """One row an incident of a file with the columns at, market_id, sales, and optionally region and channel.

    ``expected`` and ``observed`` are of the steps that showed it, ``left`` is their ratio, ``statistic`` the evidence over its alarm. Times are aware, in Seoul. ``beside`` are the files that tell more: ``calendar``, ``cycles``, ``exclusions``.

    Raises:
        SettingError: a file cannot be read, or a number or a time in it.
        AnalysisError: it cannot be used.
    """
    frame = read_table(sales, "--sales")
    found = detect_sales(frame, since=since, **read_beside(frame, beside))
    rows = [{**row, **json.loads(row["evidence"])} for row in found.iter_rows(named=True)]
    return of_seoul(pl.DataFrame([{name: row.get(name) for name in SHOWN} for row in rows], schema=SHOWN, orient="row"))
