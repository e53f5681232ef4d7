"""The gross shortfall: adding up, what it may not see, and losses that are known."""

import os
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from warehouse.analysis import AnalysisError, FrameError, HistoryError, LongWindowError, LossEstimate, bands, day_types, estimate_loss, windows
from warehouse.analysis.effects import promoted_slots
from warehouse.analysis.intervals import band, student, windows_needed
from warehouse.analysis.loss import HISTORY_DAYS

START = datetime(2025, 2, 26, 10)
END = datetime(2025, 2, 26, 14)
DATA = Path(os.environ.get("ONNURI_DATA", Path(__file__).parents[1] / ".." / "shared" / "data"))


def country(*, days: int = 35, markets: int = 30, first: date = date(2025, 1, 23), seed: int = 1, noise: float = 0.03) -> pl.DataFrame:
    """Hourly sales of markets in three regions and two channels; demand of a day and an hour stray together by ``noise``."""
    rng = np.random.default_rng(seed)
    hours = np.interp(np.arange(24), [0, 6, 8, 11, 14, 18, 22, 24], [0.1, 0.2, 3, 8, 6, 8, 1, 0.1])
    weekday = (first.weekday() + np.arange(days)) % 7
    level = np.array([1, 1, 1, 1, 1.1, 1.2, 0.7])[weekday] * np.exp(rng.normal(0, noise, days))
    size = rng.gamma(1.0, 6.0, markets) + 0.5
    mean = size[:, None, None, None] * np.array([0.6, 0.4])[:, None, None] * (level[:, None] * hours * np.exp(rng.normal(0, noise, (days, 24))))
    sold = rng.poisson(mean) * 10_000.0
    m, c, d, h = np.nonzero(sold)
    at = pl.Series([datetime.combine(first, datetime.min.time()) + timedelta(hours=n) for n in range(days * 24)]).gather(d * 24 + h)
    names, regions = pl.Series([f"m{i:02d}" for i in range(markets)]), pl.Series([f"r{i % 3}" for i in range(markets)])
    return pl.DataFrame(
        {"at": at, "market_id": names.gather(m), "sales": sold[m, c, d, h], "region": regions.gather(m), "channel": pl.Series(["card", "mobile"]).gather(c)}
    )


def hurt(sales: pl.DataFrame, share: float, start: datetime = START, end: datetime = END, markets: list[str] | None = None) -> tuple[pl.DataFrame, float]:
    """The same with ``share`` of the window's sales taken away, and how much that is."""
    inside = pl.col("at").is_between(start, end, closed="left") & (pl.lit(value=True) if markets is None else pl.col("market_id").is_in(markets))
    lost = sales.filter(inside)["sales"].sum() * share
    return sales.with_columns(sales=pl.when(inside).then(pl.col("sales") * (1 - share)).otherwise("sales")), lost


def summed(sales: pl.DataFrame, step: str) -> pl.DataFrame:
    """The same in longer steps."""
    return sales.group_by(pl.col("at").dt.truncate(step), pl.all().exclude("at", "sales")).agg(pl.col("sales").sum())


def figures(found: LossEstimate) -> list[float]:
    return [found.expected, found.observed, found.lost, found.low, found.high]


def need_channels_as_wide(found: LossEstimate) -> None:
    """What a channel does not know of its own, the total does not know either: together they are no surer than it."""
    assert (found.by_channel["high"] - found.by_channel["low"]).sum() > 0.98 * (found.high - found.low)


def test_a_known_loss_is_found_within_its_interval() -> None:
    sales, lost = hurt(country(), 0.8)
    found = estimate_loss(sales, START, END)
    assert found.lost == pytest.approx(lost, rel=0.12)
    assert found.low <= lost <= found.high
    assert found.warnings == []
    assert "conformal" in found.method


@pytest.mark.slow
def test_most_intervals_hold_the_loss_over_many_worlds() -> None:
    held = 0
    for seed in range(40):
        sales, lost = hurt(country(seed=seed, markets=12, noise=0.06), 0.5)
        found = estimate_loss(sales, START, END)
        held += found.low <= lost <= found.high
    assert held >= 33


def shop(*, days: int = 60, open_on: range = range(7), rate: float = 12, seed: int = 1) -> pl.DataFrame:
    """Hourly sales of one shop that is open on some weekdays; there are no rows of hours without any."""
    rng = np.random.default_rng(seed)
    hours = [(datetime(2025, 3, 31) + timedelta(days=day, hours=hour), int(rng.poisson(rate))) for day in range(days) for hour in range(9, 19)]
    rows = [(at, "shop", 25_000.0 * count) for at, count in hours if count and at.weekday() in open_on]
    return pl.DataFrame(rows, schema=["at", "market_id", "sales"], orient="row")


@pytest.mark.parametrize("neighbour", [False, True])
def test_a_shop_that_is_shut_on_sundays_is_expected_to_sell_nothing_on_one(neighbour: bool) -> None:  # noqa: FBT001
    sales = shop(open_on=range(6))
    if neighbour:
        sales = pl.concat([sales, shop(seed=2).with_columns(market_id=pl.lit("open"))])
    saturday, sunday, tuesday = datetime(2025, 5, 24), datetime(2025, 5, 25), datetime(2025, 5, 27)
    only = {"markets": ["shop"], "step": timedelta(hours=1)}
    found = estimate_loss(sales.filter(pl.col("at") < sunday + timedelta(days=1)), sunday, sunday + timedelta(days=1), complete_until=tuesday, **only)
    assert (found.expected, found.low, found.high) == (0, 0, 0)
    before, lost = hurt(sales, 1, saturday, tuesday, ["shop"])
    found = estimate_loss(before.filter(pl.col("sales") > 0), saturday, tuesday, complete_until=tuesday, **only)
    assert found.lost == pytest.approx(lost, rel=0.15)
    assert found.low <= lost <= found.high


def test_a_day_without_sales_counts_where_it_is_usual_and_not_where_nobody_could_buy() -> None:
    sales, day = shop(rate=0.1), datetime(2025, 5, 28)
    usual = [
        estimate_loss(shop(rate=0.1, seed=seed), day, day + timedelta(days=1), step=timedelta(hours=1), complete_until=day + timedelta(days=1)).expected
        for seed in range(20)
    ]
    assert np.mean(usual) == pytest.approx(25_000, rel=0.35)
    sales = shop()
    away = sales.filter(~pl.col("at").is_between(datetime(2025, 5, 6), datetime(2025, 5, 10)), pl.col("at").dt.date() != date(2025, 5, 21))
    whole, with_gaps = (estimate_loss(one, day, day + timedelta(days=1), step=timedelta(hours=1)) for one in (sales, away))
    assert with_gaps.expected == pytest.approx(whole.expected, rel=0.05)


def test_markets_that_are_shut_on_a_weekday_take_nothing_from_the_others_and_get_nothing_of_theirs() -> None:
    open_ones = country(days=63, first=date(2024, 12, 26))
    sales = open_ones.filter((pl.col("market_id") >= "m10") | (pl.col("at").dt.weekday() != 7))
    start, end = datetime(2025, 2, 23, 10), datetime(2025, 2, 23, 18)
    sales, lost = hurt(sales, 1, start, end)
    found = estimate_loss(sales.filter(pl.col("sales") > 0), start, end, complete_until=end)
    assert found.by_market.filter(pl.col("market_id") < "m10")["expected"].sum() == pytest.approx(0, abs=0.01 * lost)
    assert found.lost == pytest.approx(lost, rel=0.12)


def test_a_market_that_opened_twelve_days_ago_is_told_by_the_days_since() -> None:
    sales, lost = hurt(country(days=56, first=date(2025, 1, 2)), 1, markets=["m05"])
    new = sales.filter((pl.col("market_id") != "m05") | (pl.col("at") >= datetime(2025, 2, 14)))
    assert estimate_loss(new, START, END, markets=["m05"]).lost == pytest.approx(lost, rel=0.15)


def test_an_error_is_relative_to_half_of_what_its_like_hold_at_least() -> None:
    expected, observed = np.array([[1_000.0, 0.0], [30_000.0, 8_000.0], [35_000.0, 0.0]]), np.array([[660_000.0, 5_000.0], [0.0, 10_000.0], [32_000.0, 0.0]])
    errors = bands._relative(observed, expected)
    assert errors[:, 0] == pytest.approx([659_000 / 11_000, -1, -3 / 35])
    assert errors[:, 1] == pytest.approx([0, 0.25, 0])


@pytest.mark.parametrize("old", [False, True])
def test_one_sale_where_next_to_nothing_is_expected_makes_no_interval_beyond_all_sales(old: bool) -> None:  # noqa: FBT001
    days = [*range(14), *([] if old else range(14, 21)), 21]
    rows = [(datetime(2025, 2, 1) + timedelta(days=day, hours=hour), "m1", 20_000) for day in days for hour in range(9, 19)]
    sales = pl.DataFrame(sorted([*rows, (datetime(2025, 2, 8, 6), "m1", 20_000)]), schema=["at", "market_id", "sales"], orient="row")
    away = pl.DataFrame({"starts_at": [datetime(2025, 2, 15)], "ends_at": [datetime(2025, 2, 22)]}) if old else None
    found = estimate_loss(sales, datetime(2025, 2, 22, 6), datetime(2025, 2, 22, 8), exclusions=away, complete_until=datetime(2025, 2, 22, 8))
    assert -found.observed <= found.low <= found.lost <= found.high < 200_000


def test_nobody_is_expected_to_sell_less_than_nothing() -> None:
    sales = pl.concat([shop(rate=0.3, seed=seed).with_columns(market_id=pl.lit(f"m{seed:02d}")) for seed in range(30)])
    sunday = datetime(2025, 5, 25, 9)
    found = estimate_loss(sales.filter(pl.col("at") < sunday), sunday, sunday + timedelta(hours=9), complete_until=sunday + timedelta(hours=9))
    assert (found.by_market["low"] >= -found.by_market["observed"] - 1e-6).all()


def test_point_estimates_add_up_from_market_to_region_to_nation() -> None:
    sales, _ = hurt(country(), 0.6)
    found = estimate_loss(sales, START, END)
    for part in (found.by_market, found.by_region, found.by_channel):
        for column in ("expected", "observed", "lost"):
            assert part[column].sum() == pytest.approx(getattr(found, column))
    regions = sales.select("market_id", "region").unique()
    summed = found.by_market.join(regions, on="market_id").group_by("region").agg(pl.col("lost").sum()).sort("region")
    assert summed["lost"].to_list() == pytest.approx(found.by_region.sort("region")["lost"].to_list())


def test_sales_in_another_unit_give_the_same_loss_in_that_unit() -> None:
    sales, _ = hurt(country(), 0.6)
    won, million = estimate_loss(sales, START, END), estimate_loss(sales.with_columns(pl.col("sales") / 1e6), START, END)
    assert figures(won) == pytest.approx([1e6 * figure for figure in figures(million)])


def test_nothing_after_as_of_is_used() -> None:
    sales, _ = hurt(country(), 0.6)
    after = pl.col("at") >= END
    changed = sales.with_columns(sales=pl.when(after).then(pl.col("sales") * 50 + 1).otherwise("sales"))
    assert figures(estimate_loss(changed, START, END)) == figures(estimate_loss(sales, START, END))
    assert figures(estimate_loss(sales.filter(~after), START, END)) == figures(estimate_loss(sales, START, END))


def test_a_later_as_of_learns_from_the_days_after_but_not_from_the_rest_of_the_day() -> None:
    sales, _ = hurt(country(days=42), 0.6)
    later = datetime(2025, 3, 4)
    known = estimate_loss(sales, START, END, as_of=later)
    assert known.expected != estimate_loss(sales, START, END).expected
    rebound = sales.with_columns(sales=pl.when(pl.col("at").is_between(END, datetime(2025, 2, 27), closed="left")).then(pl.col("sales") * 9).otherwise("sales"))
    assert estimate_loss(rebound, START, END, as_of=later).expected == pytest.approx(known.expected)


def test_a_window_that_is_not_over_is_cut_at_as_of() -> None:
    sales, _ = hurt(country(), 0.6)
    found = estimate_loss(sales, START, END, as_of=START + timedelta(hours=2))
    assert found.end == START + timedelta(hours=2)
    assert figures(found) == figures(estimate_loss(sales, START, START + timedelta(hours=2)))
    assert any("cut" in warning for warning in found.warnings)


def test_the_order_of_rows_does_not_matter() -> None:
    sales, _ = hurt(country(), 0.6)
    assert figures(estimate_loss(sales.sample(fraction=1, shuffle=True, seed=3), START, END)) == pytest.approx(figures(estimate_loss(sales, START, END)))


def test_aware_times_are_converted_to_seoul() -> None:
    sales, _ = hurt(country(), 0.6)
    aware = sales.with_columns(pl.col("at").dt.replace_time_zone("Asia/Seoul").dt.convert_time_zone("UTC"))
    moments = [pl.Series([moment]).dt.replace_time_zone("Asia/Seoul")[0] for moment in (START, END)]
    assert figures(estimate_loss(aware, *moments)) == figures(estimate_loss(sales, START, END))


def test_exclusions_are_never_learnt_from() -> None:
    sales, _ = hurt(country(), 0.6)
    low, high = datetime(2025, 2, 19, 9), datetime(2025, 2, 20, 17)
    inside = pl.col("at").is_between(low, high, closed="left")
    wild = sales.with_columns(sales=pl.when(inside).then(pl.col("sales") * 30).otherwise("sales"))
    spans = pl.DataFrame({"start": [low], "end": [high]})
    one_market = spans.with_columns(market_id=pl.lit("m03"))
    assert figures(estimate_loss(wild, START, END, exclusions=spans)) == pytest.approx(figures(estimate_loss(sales, START, END, exclusions=spans)))
    wild_one = sales.with_columns(sales=pl.when(inside & (pl.col("market_id") == "m03")).then(pl.col("sales") * 30).otherwise("sales"))
    expected = estimate_loss(sales, START, END, exclusions=one_market)
    assert figures(estimate_loss(wild_one, START, END, exclusions=one_market)) == pytest.approx(figures(expected))


def test_a_window_longer_than_the_days_that_are_learnt_from_is_refused_in_words() -> None:
    hours = pl.datetime_range(datetime(2025, 1, 1), datetime(2025, 6, 30), "1h", closed="left", eager=True)
    sales = pl.DataFrame({"at": hours, "market_id": "m", "sales": [100.0] * len(hours)})
    start = datetime(2025, 3, 1, 10)
    longest = estimate_loss(sales, start, datetime(2025, 5, 10))
    assert longest.expected == pytest.approx(100 * (24 * HISTORY_DAYS - 10))
    with pytest.raises(LongWindowError, match=r"at most 70 days, got 71, from 2025-03-01 10:00:00 .* Give a shorter span"):
        estimate_loss(sales, start, datetime(2025, 5, 10, 1))


def test_a_switched_off_fortnight_is_no_history_and_is_said() -> None:
    sales, lost = hurt(country(days=49, first=date(2025, 1, 9)), 0.7)
    off = sales.filter(~pl.col("at").is_between(datetime(2025, 2, 11), datetime(2025, 2, 26), closed="left"))
    found, usual = estimate_loss(off, START, END), estimate_loss(sales, START, END)
    assert found.lost == pytest.approx(lost, rel=0.15)
    assert any("16 days away" in warning for warning in found.warnings)
    assert found.high - found.low > usual.high - usual.low
    need_channels_as_wide(found)


def test_a_level_never_seen_before_is_followed_and_widens_the_interval() -> None:
    whole = country(days=36)
    day = pl.col("at").dt.date() == START.date()
    sales, lost = hurt(whole.with_columns(sales=pl.when(day).then(pl.col("sales") * 2.5).otherwise("sales")), 0.8)
    found = estimate_loss(sales, START, END)
    assert found.lost == pytest.approx(lost, rel=0.15)
    assert any("beyond any" in warning for warning in found.warnings)
    assert (found.high - found.low) / found.expected > 0.3
    need_channels_as_wide(found)


@pytest.mark.parametrize("widened", ["level_unseen", "old_history"])
def test_what_widens_an_interval_widens_one_of_another_probability_as_a_normal_error_would(widened: str) -> None:
    sales = country(days=36, noise=0.003) if widened == "level_unseen" else country(days=49, first=date(2025, 1, 9))
    if widened == "level_unseen":
        sales = sales.with_columns(sales=pl.when(pl.col("at").dt.date() == START.date()).then(pl.col("sales") * 2.5).otherwise("sales"))
    else:
        sales = sales.filter(~pl.col("at").is_between(datetime(2025, 2, 11), datetime(2025, 2, 26), closed="left"))
    found = {level: estimate_loss(sales, START, END, level=level) for level in (0.5, 0.9, 0.95)}
    assert all(widened in [warning.code for warning in one.warnings] for one in found.values())
    width = {level: one.high - one.low for level, one in found.items()}
    assert width[0.5] < 0.5 * width[0.9]
    assert width[0.95] > 1.05 * width[0.9]


def test_too_few_past_windows_fall_back_to_t_and_say_so() -> None:
    sales, lost = hurt(country(days=14, first=date(2025, 2, 13)), 0.6)
    found = estimate_loss(sales, START, END)
    assert any("needs 19" in warning for warning in found.warnings)
    assert "Student" in found.method
    assert found.low <= lost <= found.high
    one_day = estimate_loss(sales.filter(pl.col("at") >= datetime(2025, 2, 25)), START, END)
    assert "prior" in one_day.method
    assert one_day.high - one_day.low > found.high - found.low


def test_a_partial_scope_uses_the_others_as_controls_and_warns() -> None:
    markets = [f"m{i:02d}" for i in range(0, 30, 3)]
    quiet = country().with_columns(sales=pl.when(pl.col("at").is_between(START, END, closed="left")).then(pl.col("sales") * 0.6).otherwise("sales"))
    sales, lost = hurt(quiet, 0.7, markets=markets)
    found = estimate_loss(sales, START, END, markets=markets)
    assert found.lost == pytest.approx(lost, rel=0.25)
    assert any("controls" in warning for warning in found.warnings)
    assert sorted(found.by_market["market_id"]) == markets
    alone = estimate_loss(sales.filter(pl.col("market_id").is_in(markets)), START, END)
    assert abs(alone.lost - lost) > abs(found.lost - lost)


def test_windows_across_midnight_and_over_days_are_estimated() -> None:
    start, end = datetime(2025, 2, 25, 20), datetime(2025, 2, 27, 9)
    sales, lost = hurt(country(days=42), 0.7, start, end)
    found = estimate_loss(sales, start, end)
    assert found.lost == pytest.approx(lost, rel=0.12)
    assert found.low <= lost <= found.high


@pytest.mark.parametrize("step", ["1m", "15m", "1d"])
def test_any_uniform_step_will_do(step: str) -> None:
    spread = country()
    if step == "1d":
        sales, lost = hurt(summed(spread, step), 0.5, datetime(2025, 2, 26), datetime(2025, 2, 27))
        found = estimate_loss(sales, datetime(2025, 2, 26), datetime(2025, 2, 27))
    else:
        minute = (pl.int_range(pl.len()) * 7 % 60).cast(pl.Int64)
        sales, lost = hurt(summed(spread.with_columns(pl.col("at") + pl.duration(minutes=minute)), step), 0.5)
        found = estimate_loss(sales, START, END)
    assert found.low <= lost <= found.high
    assert found.lost == pytest.approx(lost, rel=0.3)


def test_total_silence_up_to_the_end_is_a_loss_and_not_missing_data() -> None:
    sales, lost = hurt(country(), 1.0)
    found = estimate_loss(sales.filter((pl.col("at") < START) & (pl.col("sales") > 0)), START, END)
    assert found.lost == pytest.approx(lost, rel=0.12)
    assert found.observed == 0
    assert any("no rows after" in warning for warning in found.warnings)


def test_market_days_are_learnt_where_they_are_given() -> None:
    plain = country(days=42, markets=40, seed=4)
    held = pl.col("at").dt.day().mod(10).is_in([1, 6]) & (pl.col("market_id") < "m20")
    sales, lost = hurt(plain.with_columns(sales=pl.when(held).then(pl.col("sales") * 4).otherwise("sales")), 0.5)
    cycles = pl.DataFrame({"market_id": [f"m{i:02d}" for i in range(20)], "days": ["1,6"] * 20})
    known, untold = estimate_loss(sales, START, END, cycles=cycles), estimate_loss(sales, START, END)
    assert known.lost == pytest.approx(lost, rel=0.05)
    assert known.low <= lost <= known.high
    assert known.high - known.low < 0.5 * (untold.high - untold.low)
    too_few = estimate_loss(sales, START, END, cycles=cycles.head(1))
    assert any("Market days were not used" in warning for warning in too_few.warnings)


def test_market_days_that_begin_and_end_early_are_learnt_by_the_hour() -> None:
    plain = country(days=42, markets=40, seed=4)
    held = pl.col("at").dt.day().mod(10).is_in([1, 6]) & (pl.col("market_id") < "m20")
    factor = pl.when(held & (pl.col("at").dt.hour() < 10)).then(8.0).when(held & (pl.col("at").dt.hour() < 14)).then(2.0).when(held).then(0.5).otherwise(1.0)
    cycles = pl.DataFrame({"market_id": [f"m{i:02d}" for i in range(20)], "days": ["1,6"] * 20})
    for first, last in ((7, 10), (14, 18)):
        start, end = datetime(2025, 2, 26, first), datetime(2025, 2, 26, last)
        sales, lost = hurt(plain.with_columns(sales=pl.col("sales") * factor), 0.5, start, end)
        assert estimate_loss(sales, start, end, cycles=cycles).lost == pytest.approx(lost, rel=0.15)


@pytest.mark.parametrize("market", ["m03", "m05", "m11"])
def test_what_market_days_carry_is_learnt_from_more_markets_than_the_one_asked_about(market: str) -> None:
    held = pl.col("at").dt.day().mod(10).is_in([1, 6]) & (pl.col("market_id") < "m20")
    sales = country(days=42, markets=40, seed=4).with_columns(sales=pl.when(held).then(pl.col("sales") * 4).otherwise("sales"))
    cycles = pl.DataFrame({"market_id": [f"m{i:02d}" for i in range(20)], "days": ["1,6"] * 20})
    start = datetime.combine(START, datetime.min.time()) + timedelta(hours=8)
    told = estimate_loss(sales, start, END, cycles=cycles, markets=[market])
    alone = estimate_loss(sales.filter(pl.col("market_id") == market), start, END, cycles=cycles)
    assert "market_days_not_used" in [warning.code for warning in alone.warnings]
    assert "market_days_not_used" not in [warning.code for warning in told.warnings]
    assert abs(told.lost) < 0.5 * abs(alone.lost)
    assert told.expected == pytest.approx(told.observed, rel=0.15)


def test_a_promotion_with_a_factor_is_taken_out_of_history_and_put_into_the_window() -> None:
    plain, lost = hurt(country(), 0.5)
    low, high = datetime(2025, 2, 17), datetime(2025, 2, 20)
    promoted = plain.with_columns(sales=pl.when(pl.col("at").is_between(low, high, closed="left")).then(pl.col("sales") * 6).otherwise("sales"))
    promotion = pl.DataFrame({"start": [low], "end": [high], "label": ["holiday"], "factor": [6.0]})
    assert estimate_loss(promoted, START, END, promotions=promotion).lost == pytest.approx(lost, rel=0.12)
    assert estimate_loss(promoted, START, END, promotions=promotion.drop("factor")).lost == pytest.approx(lost, rel=0.12)
    during = pl.DataFrame({"start": [START - timedelta(hours=1)], "end": [END], "label": ["now"]})
    assert any("promotion" in warning for warning in estimate_loss(plain, START, END, promotions=during).warnings)


def test_an_hour_within_which_a_promotion_begins_is_multiplied_for_its_share_only() -> None:
    begins, until = START + timedelta(minutes=50), START + timedelta(hours=8)
    of_hour = pl.when(pl.col("at") == START).then(1 + 1 / 6).when(pl.col("at").is_between(START, until, closed="left")).then(2.0).otherwise(1.0)
    promotion = pl.DataFrame({"start": [begins], "end": [until], "label": ["now"], "factor": [2.0]})
    errors = []
    for seed in range(4):
        promoted = country(seed=seed).with_columns(sales=pl.col("sales") * of_hour)
        silent, lost = hurt(promoted, 1.0, START, START + timedelta(hours=1))
        errors.append(estimate_loss(silent, START, START + timedelta(hours=1), promotions=promotion).lost / lost - 1)
    assert np.mean(errors) == pytest.approx(0, abs=0.06)


def test_promotions_that_meet_within_an_hour_share_it_and_those_that_overlap_are_multiplied() -> None:
    starts = np.arange(0, 1440, 60)
    found = promoted_slots([(90, 150, 2.0), (150, 240, 4.0), (180, 240, 0.5), (-600, 30, 3.0), (1425, 2000, 5.0)], starts)
    assert found[:5] == pytest.approx([2.0, 1.5, 3.0, 2.0, 1.0])
    assert found[-1] == 2.0


def test_a_calendar_of_ones_own_decides_which_days_are_alike() -> None:
    sales, _ = hurt(country(), 0.5)
    days = pl.DataFrame({"date": [date(2025, 1, 23) + timedelta(days=n) for n in range(35)]}).with_columns(day_type=pl.lit("any"))
    assert estimate_loss(sales, START, END, calendar=days).expected != estimate_loss(sales, START, END).expected
    with pytest.raises(AnalysisError, match="2025-02-26"):
        estimate_loss(sales, START, END, calendar=days.filter(pl.col("date") != date(2025, 2, 26)))


def test_korean_holidays_and_their_substitutes_are_sundays() -> None:
    types = dict(day_types(date(2025, 2, 28), date(2025, 3, 8)).iter_rows())
    assert types[date(2025, 3, 1)] == "sunday_or_holiday"
    assert types[date(2025, 3, 3)] == "sunday_or_holiday"
    assert (types[date(2025, 2, 28)], types[date(2025, 3, 8)]) == ("workday", "saturday")


@pytest.mark.parametrize(
    ("change", "error", "hint"),
    [
        (lambda s: s.rename({"sales": "sale"}), FrameError, "Did you mean 'sale'"),
        (lambda s: s.with_columns(-pl.col("sales")), FrameError, "0 or more"),
        (lambda s: s.with_columns(pl.col("at").cast(pl.String)), FrameError, "expected datetimes"),
        (lambda s: s.with_columns(region=pl.col("sales").cast(pl.String)), FrameError, "one region a market"),
        (lambda s: s.with_columns(pl.col("at") + pl.duration(seconds=30)), FrameError, "whole minutes"),
        (lambda s: s.filter(pl.col("at") >= START), HistoryError, "ordinary day"),
        (lambda s: s.clear(), HistoryError, "no rows"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_hint(change: object, error: type[AnalysisError], hint: str) -> None:
    with pytest.raises(error, match=hint):
        estimate_loss(change(country(days=36)), START, END)  # type: ignore[operator]


def test_unknown_markets_and_impossible_windows_are_refused() -> None:
    sales = country()
    with pytest.raises(AnalysisError, match="nowhere"):
        estimate_loss(sales, START, END, markets=["nowhere"])
    with pytest.raises(AnalysisError, match="after the start"):
        estimate_loss(sales, END, START)
    with pytest.raises(AnalysisError, match="as_of"):
        estimate_loss(sales, START, END, as_of=START)
    with pytest.raises(AnalysisError, match="level"):
        estimate_loss(sales, START, END, level=90)


def test_ninety_percent_need_nineteen_windows() -> None:
    assert (windows_needed(0.9), windows_needed(0.95), windows_needed(0.5)) == (19, 39, 3)
    errors = np.arange(19.0)[:, None] - 9
    assert (band(errors, 19, 0.9).low[0], band(errors, 19, 0.9).high[0], band(errors, 19, 0.9).how) == (-9, 9, "conformal")
    assert band(errors[:18], 18, 0.9).how == "t"


def test_ranks_lie_between_two_windows_and_copies_of_a_window_add_none() -> None:
    errors = np.arange(41.0)[:, None]
    # (41 + 1) * 0.05 = 2.1: a tenth of the way from the second least to the third
    found = band(errors, 41, 0.9)
    assert (found.low[0], found.high[0]) == pytest.approx((1.1, 38.9))
    # the same windows three times over
    thrice = band(np.repeat(errors, 3, axis=0), 41, 0.9)
    assert (thrice.low[0], thrice.high[0]) == pytest.approx((1.0, 39.0))


def test_intervals_of_few_windows_hold_what_they_claim() -> None:
    rng = np.random.default_rng(41)
    for count in (19, 24, 30, 38, 60):
        # each in three copies that differ little, as windows shifted by an hour do
        own = rng.standard_t(4, (20_000, count + 1))
        errors = np.concatenate([own[:, :-1] + rng.normal(0, 0.3, (20_000, count)) for _ in range(3)], axis=1).T
        found = band(errors, count, 0.9)
        new = own[:, -1] + rng.normal(0, 0.3, 20_000)
        assert 0.895 <= ((new >= found.low) & (new <= found.high)).mean() <= 0.945


LEVELS = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.905, 0.92, 0.95, 0.96, 0.97, 0.98, 0.99, 0.999)


@pytest.mark.parametrize("seed", range(20))
def test_a_surer_interval_is_never_within_a_less_sure_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days, own_days, places = int(rng.integers(2, 70)), int(rng.integers(1, 4)), 5
    expected = rng.gamma(2.0, 10.0, (3 * days, places)) * (rng.random((3 * days, places)) > 0.05)
    # a few errors beyond all others, as one odd day among many makes
    observed = expected * np.exp(rng.standard_t(2, (3 * days, 1)) * 0.1 + rng.normal(0, 0.05, expected.shape))
    of_day = np.repeat(rng.integers(0, 3, days), 3)
    parts = np.stack([expected.sum(axis=1), observed.sum(axis=1)], axis=1)[:, :, None] * rng.dirichlet(np.ones(own_days), (3 * days, 2))
    past = windows.PastWindows(expected, observed, np.repeat(np.arange(days), 3), of_day, np.ones(3 * days), parts)
    for groups in (None, np.ones((places, 1))):
        ends = [bands.Bands(past, 0, own_days, level, bands.Wider(), None).of(groups, np.arange(places)) for level in LEVELS]
        for (low, high), (lower, higher) in pairwise(ends):
            assert (lower <= low).all()
            assert (higher >= high).all()


@pytest.mark.parametrize("days", [5, 40])
def test_an_estimate_lies_in_its_interval_also_where_every_past_window_sold_less_than_expected(days: int) -> None:
    expected = np.ones((days, 1))
    observed = expected * np.linspace(0.5, 0.9, days)[:, None]
    parts = np.stack([expected, observed], axis=1)
    past = windows.PastWindows(expected, observed, np.arange(days), np.zeros(days, dtype=np.int64), np.ones(days), parts)
    low, high = bands.Bands(past, 0, 1, 0.5, bands.Wider(), None).of(None, np.arange(1))
    assert low[0] <= 0 <= high[0]


def test_where_the_level_moves_past_windows_are_learnt_from_the_days_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    start, end = datetime(2025, 3, 5), datetime(2025, 3, 6)
    growing = [
        country(days=49, seed=seed, markets=8, first=date(2025, 1, 16)).with_columns(sales=pl.col("sales") * (1.02 ** (pl.col("at").dt.ordinal_day())))
        for seed in range(8)
    ]
    broken = [hurt(sales.filter(pl.col("at") < end), 1.0, start, end) for sales in growing]
    found = [estimate_loss(sales, start, end, complete_until=end) for sales, _ in broken]
    assert sum(one.low <= lost <= one.high for one, (_, lost) in zip(found, broken, strict=True)) >= 6
    monkeypatch.setattr(windows, "DAYS_BEFORE", 10_000)
    flattered = [estimate_loss(sales, start, end, complete_until=end) for sales, _ in broken]
    assert np.mean([one.high - one.low for one in found]) > 1.1 * np.mean([one.high - one.low for one in flattered])


def test_beyond_what_past_windows_can_tell_an_interval_holds_at_least_all_of_them() -> None:
    errors = np.array([-0.5, *np.zeros(28), 0.6])[:, None]
    ninety, surest = band(errors, 30, 0.9), band(errors, 30, 0.95)
    assert ninety.how == "conformal"
    # 31 * 0.05 = 1.55
    assert (ninety.low[0], ninety.high[0]) == pytest.approx((-0.225, 0.27))
    assert (surest.how, surest.low[0], surest.high[0]) == ("t", -0.5, 0.6)


@pytest.mark.parametrize(("probability", "freedom", "quantile"), [(0.95, 1, 6.3138), (0.95, 3, 2.3534), (0.975, 13, 2.1604), (0.95, 100, 1.6602)])
def test_quantiles_of_t_agree_with_the_tables(probability: float, freedom: float, quantile: float) -> None:
    assert student(probability, freedom) == pytest.approx(quantile, rel=1e-3)


def test_real_sales_with_an_injected_loss() -> None:
    path = DATA / "freshretail" / "public_even_stores_60d.parquet"
    if not path.is_file():
        pytest.skip(f"the public panel FreshRetailNet-50K is not at {path}; set ONNURI_DATA to its folder")
    panel = pl.read_parquet(path)
    sales = panel.select(
        at=pl.col("dt").cast(pl.Datetime("us")) + pl.duration(hours="hour"),
        market_id=pl.col("store_id").cast(pl.String),
        region=pl.col("city_id").cast(pl.String),
        sales=pl.col("sales").cast(pl.Float64),
    )
    calendar = panel.group_by("dt").agg(day_type=pl.col("holiday").max().cast(pl.String)).rename({"dt": "date"})
    errors, held = [], 0
    for day in range(32, 60, 3):
        start = datetime(2024, 3, 28, 10) + timedelta(days=day)
        known = sales.filter(pl.col("at").is_between(start - timedelta(days=14, hours=10), start + timedelta(hours=3), closed="left"))
        changed, lost = hurt(known, 0.6, start, start + timedelta(hours=3))
        found = estimate_loss(changed, start, start + timedelta(hours=3), calendar=calendar)
        errors.append(abs(found.lost - lost) / (lost / 0.6))
        held += found.low <= lost <= found.high
    assert np.mean(errors) < 0.09
    assert held >= 7


def test_a_week_before_tells_the_later_days_of_a_window_what_no_place_that_was_spared_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tuesdays sell half more than other workdays, which neither the kind of day nor two weeks say."""
    start, end = datetime(2025, 2, 24, 10), datetime(2025, 2, 26, 10)
    sales = (
        country()
        .filter(pl.col("at") >= datetime(2025, 2, 9))
        .with_columns(sales=pl.when(pl.col("at").dt.weekday() == 2).then(pl.col("sales") * 1.5).otherwise("sales"))
    )
    some = [f"m{n:02d}" for n in range(10)]
    broken, lost = hurt(sales, 0.5, start, end)
    told, day = estimate_loss(broken, start, end), estimate_loss(broken, start, start + timedelta(hours=20))
    controlled = estimate_loss(hurt(sales, 0.5, start, end, some)[0], start, end, markets=some)
    monkeypatch.setattr(windows, "WEEK_BEFORE", 0.0)
    without = estimate_loss(broken, start, end)
    assert abs(told.lost - lost) < 0.75 * abs(without.lost - lost)
    assert estimate_loss(broken, start, start + timedelta(hours=20)).lost == day.lost
    assert estimate_loss(hurt(sales, 0.5, start, end, some)[0], start, end, markets=some).lost == controlled.lost


def test_a_week_before_that_is_excluded_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    start, end = datetime(2025, 2, 24, 10), datetime(2025, 2, 26, 10)
    gone = pl.DataFrame({"start": [datetime(2025, 2, 17)], "end": [datetime(2025, 2, 20)]})
    sales = country()
    found = estimate_loss(sales, start, end, exclusions=gone)
    monkeypatch.setattr(windows, "WEEK_BEFORE", 0.0)
    assert estimate_loss(sales, start, end, exclusions=gone).expected == found.expected
