"""Names of regions, markets, channels, issuers and services: which are known, and which are near to one that is not."""

from collections.abc import Mapping
from difflib import get_close_matches

import polars as pl

from dashboard.figures.asking import ask
from warehouse.reading import Snapshot

KINDS = ("region", "market", "channel", "issuer", "service")
NEAR = 5
"""How many near names are told at the most."""


def known_names(snapshot: Snapshot, kind: str) -> dict[str, str]:
    """Every known name of a kind of ``KINDS``, in order; a market's id with its own name and place, which are empty where it is in no list."""
    return dict(ask(snapshot, "names_known", kind=kind).rows())


def near_names(name: str, known: Mapping[str, str]) -> list[str]:
    """Names that ``name`` may have meant: those that hold it or the label of which does, else those spelled much like it."""
    meant = name.replace(" ", "").lower()
    holding = [one for one, label in known.items() if meant in f"{one} {label}".replace(" ", "").lower()]
    return (holding or get_close_matches(name, known, NEAR))[:NEAR]


def with_places(snapshot: Snapshot, incidents: pl.DataFrame) -> pl.DataFrame:
    """``incidents`` with ``place``, as people call what ``scope_name`` names: a market by its own name, with its id where another market has that name too."""
    own = pl.when(pl.col("market").is_unique()).then("market").otherwise(pl.format("{} ({})", "market", "market_id"))
    markets = ask(snapshot, "market_list").select(scope=pl.lit("market"), scope_name="market_id", place=own)
    named = incidents.join(markets, on=["scope", "scope_name"], how="left", maintain_order="left")
    return named.with_columns(place=pl.coalesce("place", "scope_name", pl.lit("")))
