"""Several ways to the same loss, side by side: where they agree, and where claims from outside lie."""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from dashboard.figures.ladder import Ladder, Range
from dashboard.figures.people import People
from warehouse.analysis import LossEstimate

About = Literal["gross", "bound", "net", "merchants", "claim"]


@dataclass(frozen=True)
class Method:
    """One figure in KRW for the loss: what it is about, its interval where it has one, and for a claim whether it lies within ours.

    ``low`` and ``high`` are None for a figure without an interval; a bound has no ``high``.
    """

    name: str
    about: About
    value: float | None
    low: float | None
    high: float | None
    source: str = ""
    within: bool | None = None


def methods_of(loss: LossEstimate, padded: LossEstimate | None, ladder: Ladder, people: People, claims: pl.DataFrame) -> list[Method]:
    """Ours from gross to merchants' loss, then what others say; ``claims`` has source and amount."""
    found = [Method("counterfactual", "gross", loss.lost, loss.low, loss.high)]
    if padded is not None:
        found.append(Method("padded", "gross", padded.lost, padded.low, padded.high))
    found += [
        Method("attempts", "bound", float(people.lost_amount), None, None),
        Method("net", "net", ladder.net.value, ladder.net.low, ladder.net.high),
        Method("merchants", "merchants", ladder.merchants.value, ladder.merchants.low, ladder.merchants.high),
    ]
    return found + [
        Method("claim", "claim", float(row["amount"]), None, None, row["source"], _within(row["amount"], ladder.merchants))
        for row in claims.iter_rows(named=True)
    ]


def _within(amount: float, ours: Range) -> bool:
    return ours.low <= amount <= ours.high
