"""Shocks that many places share: learnt from past days, followed as far as they lasted there."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from warehouse.analysis import estimate_loss

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
