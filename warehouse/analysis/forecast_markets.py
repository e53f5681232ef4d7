"""From regions to markets: shares of a region's demand by hour, market days, and how much more a small market strays. Gross and Sohl (1990), top-down."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import polars as pl

from warehouse.analysis.effects import market_day_factor, market_days
from warehouse.analysis.panel import Array, Codes, Mask, Panel
from warehouse.analysis.special_days import SpecialDays

SHARE_HALF_LIFE = 28.0
PRIOR_NOISES = 40.0
"""A market's own hours count as much as its whole day once an hour holds so many times the noise of a sale."""


@dataclass(frozen=True)
class Shares:
    """Of each market its region, its share [market, hour] of it, and its market days ``held`` [market, day ahead].

    ``factor`` [hour] is what market days multiply, ``noise`` the variance over the mean of small markets' days, ``own`` the relative standard deviation that larger ones have beyond it.
    """

    names: list[str]
    region: Codes
    share: Array
    held: Mask
    factor: Array
    noise: float
    own: float

    def hours(self, regions: Array, levels: tuple[float, ...]) -> Array:
        """Quantiles [market, day, hour, level] from those of the regions."""
        middle, spread = self._middle(regions, levels)
        return _gamma(middle, np.sqrt(spread**2 + self.own**2 + self.noise / np.maximum(middle, 1e-9)), levels)

    def days(self, regions: Array, of_days: Array, levels: tuple[float, ...]) -> Array:
        """Quantiles [market, day, level]."""
        middle, _ = self._middle(regions, levels)
        total = middle.sum(axis=2)
        spread = _spread(of_days, levels)[self.region]
        return _gamma(total, np.sqrt(spread**2 + self.own**2 + self.noise / np.maximum(total, 1e-9)), levels)

    def _middle(self, regions: Array, levels: tuple[float, ...]) -> tuple[Array, Array]:
        half = regions[..., int(np.argmin(np.abs(np.array(levels) - 0.5)))]
        whole = np.zeros((len(regions), self.share.shape[1]))
        np.add.at(whole, self.region, self.share)
        part = self.share / np.maximum(whole[self.region], 1e-12)
        lifted = np.where(self.held[:, :, None], self.factor, 1.0)
        return part[:, None, :] * lifted * half[self.region], _spread(regions, levels)[self.region]


@dataclass(frozen=True)
class MarketDays:
    """Which market has its market day when [market, day], and what those multiply by hour."""

    held: Mask
    factor: Array

    @classmethod
    def of(cls, names: list[str], panel: Panel, cycles: pl.DataFrame | None, special: SpecialDays) -> "MarketDays":
        """For all days of ``special``; the factor is learnt from those of the panel, 1 where too few were seen."""
        past, every = panel.values.shape[1], len(special.kinds)
        days = list(range(panel.first_day, panel.first_day + every))
        held = market_days(cycles, names, days) if cycles is not None else np.zeros((len(names), every), dtype=bool)
        factor = market_day_factor(panel, special.kinds[:past], panel.seen, held[:, :past]) if held.any() else None
        return cls(held, np.ones(24) if factor is None else factor)

    def without(self, values: Array) -> Array:
        """Sales [market, day, hour] as they would have been if no day had been a market day."""
        found: Array = values / np.where(self.held[:, : values.shape[1], None], self.factor, 1.0)
        return found


def market_shares(names: list[str], values: Array, panel: Panel, region: Codes, lifted: MarketDays) -> Shares:
    """Learn from ``values`` without market days; the days ahead are those that ``lifted`` has beyond them."""
    past = values.shape[1]
    weight = 0.5 ** (np.arange(past)[::-1] / SHARE_HALF_LIFE)[:, None] * panel.seen
    of_region = np.zeros((int(region.max()) + 1, past, 24))
    np.add.at(of_region, region, values)
    around = of_region[region]
    if panel.own_gaps is not None:
        # a market that was out does not show its part of its region
        values, around = values * ~panel.own_gaps, around * ~panel.own_gaps
    base = np.einsum("mds,ds->ms", around, weight)
    sold = np.einsum("mds,ds->ms", values, weight)
    share = sold.sum(axis=1) / np.maximum(base.sum(axis=1), 1e-9)
    noise, own = _strays(values, panel.seen, share, around.sum(axis=2))
    prior = PRIOR_NOISES * noise
    # the only market of its region has no noise beside it, and in an hour in which nobody sells its part is that of the whole day
    bottom = base + prior / np.maximum(share, 1e-12)[:, None]
    shrunk = np.divide(sold + prior * (share > 0)[:, None], bottom, out=np.broadcast_to(share[:, None], base.shape).copy(), where=bottom > 0)
    return Shares(names, region, np.where(share[:, None] > 0, shrunk, 0.0), lifted.held[:, past:], lifted.factor, noise, own)


def _strays(values: Array, seen: Mask, share: Array, of_region: Array) -> tuple[float, float]:
    """Variance over mean of small markets' days, and the relative standard deviation that larger ones have beyond it."""
    whole = seen.all(axis=1)
    sold = values.sum(axis=2)[:, whole]
    due = (share[:, None] * of_region)[:, whole]
    squares = (sold - due) ** 2
    size = due.mean(axis=1)
    if sold.size == 0 or not (size > 0).any():
        return 1.0, 0.2
    small, large = size <= np.quantile(size[size > 0], 0.3), size >= np.quantile(size[size > 0], 0.7)
    noise = float(squares[small].sum() / max(due[small].sum(), 1e-9))
    own = float((squares[large].sum() - noise * due[large].sum()) / max((due[large] ** 2).sum(), 1e-9))
    noise = max(noise - max(own, 0.0) * float((due[small] ** 2).sum() / max(due[small].sum(), 1e-9)), noise / 4)
    return noise, float(np.sqrt(max(own, 0.01)))


def _spread(quantiles: Array, levels: tuple[float, ...]) -> Array:
    """The relative standard deviation that the quantiles of a region speak of."""
    half, high = int(np.argmin(np.abs(np.array(levels) - 0.5))), len(levels) - 1
    if high == half:
        return np.full(quantiles.shape[:-1], 0.1)
    z = NormalDist().inv_cdf(levels[high]) - NormalDist().inv_cdf(levels[half])
    ratio = np.log(np.maximum(quantiles[..., high], 1e-9) / np.maximum(quantiles[..., half], 1e-9)) / z
    return np.clip(ratio, 0.0, 1.5)


def _gamma(mean: Array, variation: Array, levels: tuple[float, ...]) -> Array:
    """Quantiles of a gamma distribution of this mean and relative standard deviation, by Wilson and Hilferty (1931)."""
    square = variation**2
    found = [mean * np.maximum(1 - square / 9 + NormalDist().inv_cdf(level) * variation / 3, 0.0) ** 3 for level in levels]
    return np.stack(found, axis=-1)
