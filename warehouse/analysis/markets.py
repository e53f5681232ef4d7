"""Single markets, most of which pay too seldom for a test of minutes: what is missing or failing in each adds up until it is beyond chance.

Page's cumulative sums (Page 1954) of log-likelihood ratios, every five minutes, for each market, from midnight on: for silence (a
thirtieth of its expectation is left, against a half) and for failures. A sum that reaches its alarm starts again at nothing. A market is
held against what its region sells and fails just then, so that it is not alarmed by what everybody suffers.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from warehouse.analysis.budget import alarm_at
from warehouse.analysis.counts import Cells
from warehouse.analysis.evidence import trailing
from warehouse.analysis.panel import Array, Codes, Mask
from warehouse.analysis.scopes import Grid

BIN = 5
"""Minutes that are added at once."""

SILENT, QUIET = 0.03, 0.5
"""Shares of its expectation that a market without payments and one on a weak day sell."""

FEWEST_SALES = 5
"""What has not sold so much today may be closed."""

FAILING, BURST = 0.5, 2.0
"""The failure rate of a market that fails, and how many failures of one buyer come together."""

SUFFERING = 0.1
"""A region that fails more than this is what its markets suffer from."""

PRIOR_SALES = 20.0
"""A market's own hours count as much as its whole day once an hour holds so many payments in the history."""


@dataclass(frozen=True)
class MarketAlarm:
    """A market that is beyond chance at the end of step ``at``: since when, in what, and the figures it rests on."""

    at: int
    market: int
    failing: bool
    onset: int
    figures: dict[str, float]


@dataclass(frozen=True)
class Markets:
    """Counts of the markets of a call [market, step] and what is expected of them there, by ``expected``; ``region`` [market] are rows of the regions."""

    names: list[str]
    region: Codes
    share: Array
    """Of the region's expectation, by hour of the day [market, hour]."""
    paid: Cells
    hour: Codes
    """Of each step."""

    def own(self, market: int, regions: Array) -> tuple[Array, Array, Array, Array]:
        """Attempts, failed, approved and expected [step] of one market; ``regions`` are the expectations of the regions."""
        length, free = len(self.hour), self.paid.axes["market_id"] == market
        attempts, failed, approved = (self.paid.whole(length, name, free)[0] for name in ("attempts", "failed", "approved"))
        return attempts, failed, approved, regions[self.region[market]] * self.share[market, self.hour]


def shares_of(history: pl.DataFrame, names: list[str], regions: list[str]) -> tuple[Codes, Array]:
    """The region of each market and its share of it by hour, from ``region``, ``market_id``, ``hour`` (Seoul) and ``approved``; 0 where it never sold."""
    place, of_region = {name: n for n, name in enumerate(names)}, {name: n for n, name in enumerate(regions)}
    history = history.filter(pl.col("market_id").is_in(names) & pl.col("region").is_in(regions))
    market = np.array([place[name] for name in history["market_id"].to_list()], dtype=np.int64)
    region_of_row = np.array([of_region[name] for name in history["region"].to_list()], dtype=np.int64)
    counts = np.bincount(market * 24 + history["hour"].to_numpy().astype(np.int64), history["approved"].to_numpy().astype(float), len(names) * 24)
    counts = counts.reshape(len(names), 24)
    region = np.zeros(len(names), dtype=np.int64)
    region[market] = region_of_row
    by_region = np.zeros((max(len(regions), 1), 24))
    np.add.at(by_region, region, counts)
    own = np.divide(counts.sum(axis=1), by_region.sum(axis=1)[region], out=np.zeros(len(names)), where=counts.sum(axis=1) > 0)
    strength = np.divide(PRIOR_SALES, own, out=np.zeros_like(own), where=own > 0)[:, None]
    top, bottom = counts + PRIOR_SALES * (own > 0)[:, None], by_region[region] + strength
    return region, np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def market_alarms(markets: Markets, grid: Grid, regions: dict[str, Array]) -> list[MarketAlarm]:
    """Every alarm of every market, in order; ``regions`` are attempts, failed, approved and expected [region, step]."""
    bins, count = len(grid.planned) // BIN, len(markets.names)
    if not bins or not count:
        return []
    open_to = ~grid.planned[markets.paid.at]
    binned = {name: _binned(markets.paid, markets.paid.figures[name] * open_to, count, bins) for name in ("attempts", "failed", "approved")}
    level, suffering, usual = _of_regions(regions, grid, bins)
    hours = markets.hour[: bins * BIN : BIN]
    expected = regions["expected"][:, : bins * BIN].reshape(len(level), bins, BIN).sum(axis=2) * level
    due = expected[markets.region] * markets.share[:, hours]
    silent = _sums(binned["approved"], due, suffering[markets.region], alarm_at("market", count, BIN))
    failing = _failing(binned["failed"], binned["attempts"], usual[markets.region], suffering[markets.region], alarm_at("market", count, BIN))
    found = []
    for kind, (alarmed, since) in ((False, silent), (True, failing)):
        for at, market in zip(*np.nonzero(alarmed.T), strict=True):
            start = int(since[market, at])
            whole = slice(start, int(at) + 1)
            figures = {
                "window_minutes": float((at + 1 - start) * BIN),
                "observed": float(binned["approved"][market, whole].sum()),
                "expected": round(float(due[market, whole].sum()), 1),
                "attempts": float(binned["attempts"][market, whole].sum()),
                "failed": float(binned["failed"][market, whole].sum()),
            }
            found.append(MarketAlarm(int(at + 1) * BIN - 1, int(market), kind, start * BIN, figures))
    return sorted(found, key=lambda alarm: (alarm.at, alarm.market, alarm.failing))


def _binned(paid: Cells, figure: Array, count: int, bins: int) -> Array:
    inside = paid.at < bins * BIN
    cell = paid.axes["market_id"][inside] * bins + paid.at[inside] // BIN
    return np.bincount(cell, figure[inside], count * bins).astype(np.float64, copy=False).reshape(count, bins)


def _of_regions(regions: dict[str, Array], grid: Grid, bins: int) -> tuple[Array, Mask, Array]:
    """What each region sells of its expectation (1 at most), whether it suffers as a whole, and its failure rate [region, bin], at the end of each bin."""
    steps = bins * BIN
    attempts, failed, sold, due = (
        trailing(regions[name], 30, grid.begin, 0, steps)[:, BIN - 1 :: BIN] for name in ("attempts", "failed", "approved", "expected")
    )
    rate = failed / np.maximum(attempts, 1)
    return np.clip((sold + 5) / (due + 5), 0.0, 1.0), (rate > SUFFERING) & (failed >= 5), np.clip(1.5 * rate, 0.03, 0.3)


def _sums(sold: Array, due: Array, suffering: Mask, alarm: float) -> tuple[Mask, Codes]:
    """Where the sum for silence alarms [market, bin], and the bin in which it began."""
    count, bins = sold.shape
    total, level, counted = np.zeros(count), np.ones(count), np.zeros(count, dtype=bool)
    since, began = np.zeros(count, dtype=np.int64), np.zeros((count, bins), dtype=np.int64)
    alarmed = np.zeros((count, bins), dtype=bool)
    sold_before, due_before = np.zeros(count), np.zeros(count)
    for step in range(bins):
        fresh = total <= 0
        since = np.where(fresh, step, since)
        # the level of the day is that of before the silence, if there is one
        level = np.where(fresh, np.clip((sold_before + 4) / (due_before + 4), 0.2, 2.0), level)
        counted = np.where(fresh, sold_before >= FEWEST_SALES, counted)
        gain = sold[:, step] * np.log(SILENT / QUIET) + (QUIET - SILENT) * due[:, step] * level
        total = np.where(counted & ~suffering[:, step], np.maximum(total + gain, 0.0), 0.0)
        alarmed[:, step], began[:, step] = total >= alarm, since
        total = np.where(alarmed[:, step], 0.0, total)
        sold_before, due_before = sold_before + sold[:, step], due_before + due[:, step]
    return alarmed, began


def _failing(failed: Array, attempts: Array, usual: Array, suffering: Mask, alarm: float) -> tuple[Mask, Codes]:
    """Where the sum for failures alarms [market, bin], and the bin in which it began."""
    gain = (failed * np.log(FAILING / usual) + (attempts - failed) * np.log((1 - FAILING) / (1 - usual))) / BURST
    gain = np.where(suffering, -np.inf, gain)
    total, since = np.zeros(len(failed)), np.zeros(len(failed), dtype=np.int64)
    alarmed, began = np.zeros(failed.shape, dtype=bool), np.zeros(failed.shape, dtype=np.int64)
    for step in range(failed.shape[1]):
        since = np.where(total <= 0, step, since)
        total = np.maximum(total + gain[:, step], 0.0)
        alarmed[:, step], began[:, step] = total >= alarm, since
        total = np.where(alarmed[:, step], 0.0, total)
    return alarmed, began
