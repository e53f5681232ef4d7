"""Asking a snapshot: a named query with bound parameters, times in Seoul in the answer."""

from datetime import UTC, datetime

import polars as pl

from warehouse.connection import query_text
from warehouse.reading import Snapshot


def ask(snapshot: Snapshot, query: str, **parameters: object) -> pl.DataFrame:
    """Run the named query; aware times are bound as UTC, and every time in the answer is aware, in Asia/Seoul."""
    bound = {name: _utc(value) if isinstance(value, datetime) else value for name, value in parameters.items()}
    frame = snapshot.connection.sql(query_text(query), params=bound or None).pl()
    times = [name for name, kind in frame.schema.items() if kind == pl.Datetime and kind.time_zone is None]
    return frame.with_columns(pl.col(times).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Seoul"))


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
