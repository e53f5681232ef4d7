"""Markets, regions and channels that opened within the history or are closed: those days are no days of no sales."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.test_analysis_loss import country, shop
from warehouse.analysis import LossEstimate, estimate_loss
from warehouse.analysis.panel import Panel, regular_cuts
from warehouse.analysis.trading_days import own_silences

FIRST = date(2025, 4, 7)
HOUR = timedelta(hours=1)


def opened(place: pl.Expr, *, ago: int, days: int = 52, seed: int = 0) -> tuple[pl.DataFrame, datetime]:
    """A country in which ``place`` sold nothing until ``ago`` days before the day after ``days``; and that day at ten."""
    start = datetime.combine(FIRST, datetime.min.time()) + timedelta(days=days, hours=10)
    sales = country(days=days + 1, markets=20, first=FIRST, seed=seed).filter(pl.col("sales") > 0)
    return sales.filter(~place | (pl.col("at") >= start - timedelta(days=ago, hours=10))), start


def shut(sales: pl.DataFrame, start: datetime, markets: list[str], *, ago: int, days: int) -> pl.DataFrame:
    """The same where some markets were closed for ``days`` that began ``ago`` days before the day of ``start``."""
    begin = datetime.combine(start.date(), datetime.min.time()) - timedelta(days=ago)
    return sales.filter(~pl.col("market_id").is_in(markets) | ~pl.col("at").is_between(begin, begin + timedelta(days=days), closed="left"))


def outage(sales: pl.DataFrame, start: datetime, markets: list[str] | None = None) -> LossEstimate:
    """What is lost where ``markets``, or all, sell nothing for four hours from ``start`` on."""
    end = start + 4 * HOUR
    spared = pl.lit(value=False) if markets is None else ~pl.col("market_id").is_in(markets) & (pl.col("at") < end)
    return estimate_loss(sales.filter((pl.col("at") < start) | spared), start, end, step=HOUR, complete_until=end, markets=markets)


def need_found(part: pl.DataFrame, name: str, sales: pl.DataFrame, start: datetime, *, within: float) -> None:
    """The loss of one row is what was sold in the window of the whole sales, in an interval that is one."""
    column = part.columns[0]
    of_window = sales.filter(pl.col("at").is_between(start, start + 4 * HOUR, closed="left"))
    lost = of_window.filter(pl.col(column) == name)["sales"].sum()
    row = part.row(by_predicate=pl.col(column) == name, named=True)
    assert row["low"] < lost < row["high"]
    assert row["lost"] == pytest.approx(lost, rel=within)


@pytest.mark.parametrize(("seed", "ago"), [(0, 5), (1, 5), (2, 1), (3, 13)])
def test_a_market_that_joined_some_days_ago_loses_in_a_nations_outage_what_it_sold(seed: int, ago: int) -> None:
    sales, start = opened(pl.col("market_id") == "m05", ago=ago, seed=seed)
    need_found(outage(sales, start).by_market, "m05", sales, start, within=0.3)


@pytest.mark.parametrize(("seed", "ago"), [(0, 3), (1, 5)])
def test_a_region_that_joined_some_days_ago_loses_in_a_nations_outage_what_it_sold(seed: int, ago: int) -> None:
    sales, start = opened(pl.col("region") == "r1", ago=ago, seed=seed)
    need_found(outage(sales, start).by_region, "r1", sales, start, within=0.15)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_channel_that_began_five_days_ago_has_its_share_and_leaves_the_other_its_own(seed: int) -> None:
    sales, start = opened(pl.col("channel") == "mobile", ago=5, seed=seed)
    found = outage(sales, start).by_channel
    need_found(found, "mobile", sales, start, within=0.15)
    need_found(found, "card", sales, start, within=0.15)


@pytest.mark.parametrize("days", [15, 17, 19])
def test_a_market_that_opened_within_a_short_history_is_told_by_the_days_since(days: int) -> None:
    sales, start = opened(pl.col("market_id") == "m05", ago=4 + days % 3, days=days)
    need_found(outage(sales, start, ["m05"]).by_market, "m05", sales, start, within=0.3)


def test_a_region_that_never_had_a_sunday_is_told_by_those_that_had() -> None:
    sales, start = opened(pl.col("region") == "r1", ago=4, days=55)
    assert start.strftime("%a") == "Sun"
    need_found(outage(sales, start).by_region, "r1", sales, start, within=0.12)


def test_a_week_before_tells_of_a_nation_in_which_a_small_market_is_new() -> None:
    sales, start = opened(pl.col("market_id") == "m07", ago=5)
    whole = opened(pl.lit(value=False), ago=5)[0]
    tuesdays = pl.when(pl.col("at").dt.weekday() == 2).then(pl.col("sales") * 1.5).otherwise("sales")
    lost = [
        estimate_loss(one.with_columns(sales=tuesdays).filter(pl.col("at") < start), start, start + timedelta(days=2), step=HOUR).expected
        for one in (sales, whole)
    ]
    assert lost[0] == pytest.approx(lost[1], rel=0.01)


@pytest.mark.parametrize("days", [14, 20])
def test_a_day_of_rest_that_a_history_begins_with_is_none_before_the_opening(days: int) -> None:
    sunday = datetime(2025, 3, 30) + timedelta(days=days // 7 * 7)
    sales = pl.concat([shop(open_on=range(6), days=days), shop(days=days, seed=2).with_columns(at=pl.col("at") - timedelta(days=1), market_id=pl.lit("open"))])
    end = sunday + timedelta(days=1)
    found = estimate_loss(sales.filter(pl.col("at") < sunday), sunday, end, step=HOUR, complete_until=end)
    assert found.by_market.filter(pl.col("market_id") == "shop")["expected"].item() == 0


@pytest.mark.parametrize("every", [1, 5, 7])
def test_a_silence_that_chance_or_market_days_explain_is_no_time_before_an_opening(every: int) -> None:
    """Small markets, and large ones that trade every fifth or every seventh day."""
    rng = np.random.default_rng(3)
    values = rng.poisson(0.05 if every == 1 else 50, (40, 42, 6)).astype(float) * (np.arange(42) % every == every - 1)[:, None]
    panel = Panel(values, np.ones((42, 6), dtype=bool), None, 20_000, regular_cuts(240))
    assert own_silences(panel, panel.seen, np.zeros(42, dtype=np.int64), np.arange(42) == 41)[0] is panel


def test_markets_that_are_closed_lose_nothing_in_a_nations_outage_and_the_estimate_says_so() -> None:
    whole, start = opened(pl.lit(value=False), ago=5)
    away = ["m01", "m05", "m09", "m13"]
    sales = shut(whole, start, away, ago=8, days=9)
    found = outage(sales, start)
    of_away = found.by_market.filter(pl.col("market_id").is_in(away))
    assert of_away.select("expected", "low", "high").to_numpy().max() == 0
    lost = sales.filter(pl.col("at").is_between(start, start + 4 * HOUR, closed="left"))["sales"].sum()
    assert found.lost == pytest.approx(lost, rel=0.1)
    [warning] = [warning for warning in found.warnings if warning.code == "closed_before"]
    assert warning.values == {"count": 4, "places": "m01, m05, m09, m13"}


@pytest.mark.parametrize("ago", [3, 7, 14])
def test_a_market_that_is_closed_and_asked_about_alone_loses_nothing(ago: int) -> None:
    whole, start = opened(pl.lit(value=False), ago=5)
    found = outage(shut(whole, start, ["m05"], ago=ago, days=ago + 1), start, ["m05"])
    assert (found.expected, found.low, found.high) == (0, 0, 0)
    assert {"closed_before", "nothing_expected"} <= {warning.code for warning in found.warnings}


def test_a_market_that_opens_on_the_morning_of_an_outage_is_not_closed() -> None:
    whole, start = opened(pl.lit(value=False), ago=5)
    sales = shut(whole, start, ["m05"], ago=8, days=8)
    need_found(outage(sales, start).by_market, "m05", sales, start, within=0.3)


@pytest.mark.parametrize("alone", [False, True])
def test_a_market_that_opened_again_is_told_by_the_days_on_which_it_is_open(alone: bool) -> None:  # noqa: FBT001
    whole, start = opened(pl.lit(value=False), ago=5, seed=1)
    sales = shut(whole, start, ["m05"], ago=19, days=14)
    need_found(outage(sales, start, ["m05"] if alone else None).by_market, "m05", sales, start, within=0.25)


def test_who_keeps_a_feast_is_not_closed_on_the_day_after_it() -> None:
    start = datetime(2025, 10, 8, 10)
    sales = country(days=60, markets=20, first=date(2025, 8, 15))
    found = outage(shut(sales, start, ["m05"], ago=3, days=3), start)
    assert found.by_market.filter(pl.col("market_id") == "m05")["expected"].item() > 0
    assert "closed_before" not in [warning.code for warning in found.warnings]
