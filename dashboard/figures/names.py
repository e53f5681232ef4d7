"""Places as people call them."""

import polars as pl

from dashboard.figures.asking import ask
from warehouse.reading import Snapshot


def with_places(snapshot: Snapshot, incidents: pl.DataFrame) -> pl.DataFrame:
    """``incidents`` with ``place``, as people call what ``scope_name`` names: a market by its own name, with its id where another market has that name too."""
    own = pl.when(pl.col("market").is_unique()).then("market").otherwise(pl.format("{} ({})", "market", "market_id"))
    markets = ask(snapshot, "market_list").select(scope=pl.lit("market"), scope_name="market_id", place=own)
    named = incidents.join(markets, on=["scope", "scope_name"], how="left", maintain_order="left")
    return named.with_columns(place=pl.coalesce("place", "scope_name", pl.lit("")))
