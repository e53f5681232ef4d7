"""Files of people's own that a command is given."""

from pathlib import Path

import polars as pl
from polars.exceptions import PolarsError

from streams.settings import SettingError


def read_table(file: Path, option: str) -> pl.DataFrame:
    """A CSV or Parquet file, by its ending.

    Raises:
        SettingError: it cannot be read.
    """
    kind = "Parquet" if file.suffix == ".parquet" else "CSV"
    try:
        return pl.read_parquet(file) if kind == "Parquet" else pl.read_csv(file, try_parse_dates=True)
    except (OSError, PolarsError) as error:
        raise SettingError(f"{option} {file} cannot be read as {kind}: {error}") from None
