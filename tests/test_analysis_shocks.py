"""Shocks that many places share: learnt from past days, followed as far as they lasted there."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from warehouse.analysis import estimate_loss
from warehouse.analysis.shocks import Fit, Fits, Shocks

FIRST = datetime(2025, 1, 6)
SAME = pl.DataFrame({"date": [date(2025, 1, 6) + timedelta(days=n) for n in range(40)], "day_type": ["any"] * 40})


def sales(today: float, *, memory: float, regions: int = 2, markets: int = 4, days: int = 29, seed: int = 1) -> pl.DataFrame:
    """Hourly sales; the nation's deviation keeps ``memory`` of itself from hour to hour; that of the last day's two hours before noon is ``today``."""
    rng = np.random.default_rng(seed)
    strays = np.zeros(days * 24)
    for hour in range(1, days * 24):
        strays[hour] = memory * strays[hour - 1] + rng.normal(0, 0.1 * (1 - memory**2) ** 0.5)
    strays[-24:] = 0
    strays[-14:-12] = today
    rows = [
        (FIRST + timedelta(hours=hour), f"r{region}m{market}", f"r{region}", 1000 * (1 + strays[hour]) + rng.normal(0, 5))
        for hour in range(days * 24)
        for region in range(regions)
        for market in range(markets)
    ]
    return pl.DataFrame(rows, schema=["at", "market_id", "region", "sales"], orient="row")


def expected_over_usual(memory: float, hours: int) -> float:
    start = FIRST + timedelta(days=28, hours=12)
    found = estimate_loss(sales(0.2, memory=memory), start, start + timedelta(hours=hours), calendar=SAME)
    return found.expected / (8 * 1000 * hours)


def test_a_deviation_is_followed_where_deviations_lasted_and_forgotten_where_they_did_not() -> None:
    assert expected_over_usual(0.95, 2) > 1.1
    assert expected_over_usual(0.05, 2) < 1.05


def test_a_lasting_deviation_still_fades_over_the_window() -> None:
    assert expected_over_usual(0.8, 1) > expected_over_usual(0.8, 10) + 0.02


def test_what_other_regions_sell_in_the_window_counts_as_much_as_regions_move_together() -> None:
    start = FIRST + timedelta(days=28, hours=12)
    window = pl.col("at").is_between(start, start + timedelta(hours=2), closed="left")
    together = sales(0.0, memory=0.8).with_columns(sales=pl.when(window & (pl.col("region") == "r1")).then(pl.col("sales") * 0.8).otherwise("sales"))
    hit = [f"r0m{market}" for market in range(4)]
    followed = estimate_loss(together, start, start + timedelta(hours=2), markets=hit, calendar=SAME).expected
    assert followed == pytest.approx(8000 * 0.8, rel=0.05)
    rng = np.random.default_rng(5)
    alone = {(f"r{region}", hour): 1 + rng.normal(0, 0.2) for region in range(2) for hour in range(28 * 24)}
    apart = together.with_columns(
        sales=pl.Series(
            [value * alone.get((region, (at - FIRST) // timedelta(hours=1)), 1.0) for value, region, at in together.select("sales", "region", "at").iter_rows()]
        )
    )
    ignored = estimate_loss(apart, start, start + timedelta(hours=2), markets=hit, calendar=SAME).expected
    assert ignored > followed + 300


def test_the_total_is_that_of_its_markets_with_and_without_controls() -> None:
    start = FIRST + timedelta(days=28, hours=12)
    for hit in (None, ["r0m0", "r1m2"]):
        found = estimate_loss(sales(0.1, memory=0.8), start, start + timedelta(hours=3), markets=hit, calendar=SAME)
        assert found.by_market["expected"].sum() == pytest.approx(found.expected)
        assert found.by_region["expected"].sum() == pytest.approx(found.expected)


def test_a_past_window_is_told_nothing_by_the_errors_of_its_own_day() -> None:
    rng = np.random.default_rng(2)
    errors, wanted = rng.normal(0, 10, (8, 3, 12)), np.full((8, 3, 12), 100.0)
    wild = errors.copy()
    wild[5] *= 40
    busy, middle = np.ones(12, dtype=bool), np.arange(12) + 8.5
    fits = [Fits(tuple(range(8)), *[Fit(of, wanted, busy, middle, keep=True)] * 3, busy, None) for of in (errors, wild)]
    every, without = ([fit.shocks(frozenset(left_out)) for fit in fits] for left_out in ((), (5,)))
    assert every[0] is not None
    assert without[0] is not None
    assert np.array_equal(seen_by(without[0]), seen_by(without[1]))
    assert without[0].nation.day == without[1].nation.day  # type: ignore[union-attr]
    assert not np.allclose(seen_by(every[0]), seen_by(every[1]))
    assert seen_by(every[0].without([5])) is seen_by(without[0])


def seen_by(shocks: Shocks | None) -> np.ndarray:
    assert shocks is not None
    assert shocks.nation.seen is not None
    return shocks.nation.seen
