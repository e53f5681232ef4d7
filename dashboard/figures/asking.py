"""Asking a snapshot: a named query whose answer has its times in Seoul."""

import polars as pl

from warehouse.analysis.times import in_seoul
from warehouse.reading import Snapshot


def ask(snapshot: Snapshot, query: str, **parameters: object) -> pl.DataFrame:
    """Run the named query; every time in the answer is aware, in Asia/Seoul."""
    return in_seoul(snapshot.query(query, **parameters))
