"""On how few the loss fell."""

from dataclasses import dataclass

import polars as pl

LARGEST = 10


@dataclass(frozen=True)
class Concentration:
    """``half``: how many of ``hit`` markets with a loss carry half of it; ``largest``: the share of the ten hit hardest."""

    hit: int
    half: int
    largest: float


def concentration_of(lost: pl.Series, least: float) -> Concentration | None:
    """From each market's loss in KRW; markets that gained are left out, so that the losses add up to more than the whole.

    None where nobody lost, and where ``least``, the low end of the whole loss, is no loss: then what single markets lack is chance.
    """
    if least <= 0:
        return None
    losses = lost.filter(lost > 0).sort(descending=True)
    if losses.is_empty():
        return None
    total = float(losses.sum())
    below = int((losses.cum_sum() < total / 2).sum())
    return Concentration(len(losses), below + 1, float(losses.head(LARGEST).sum()) / total)
