"""Asking a snapshot: a named query whose answer has its times in Seoul."""

import polars as pl

from warehouse.reading import Snapshot


def ask(snapshot: Snapshot, query: str, **parameters: object) -> pl.DataFrame:
    """Run the named query; every time in the answer is aware, in Asia/Seoul."""
    answer = snapshot.query(query, **parameters)
    times = [name for name, kind in answer.schema.items() if isinstance(kind, pl.Datetime) and kind.time_zone is None]
    return answer.with_columns(pl.col(times).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Seoul"))
