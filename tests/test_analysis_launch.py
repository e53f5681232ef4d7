"""A launch: the loss as a function of a demand factor, from a history that is mostly promotion."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from warehouse.analysis import AnalysisError, HistoryError, launch_scenario

START, END = datetime(2025, 3, 1, 10), datetime(2025, 3, 2)
PROMOTIONS = pl.DataFrame({"start": [datetime(2025, 1, 5)], "end": [datetime(2025, 2, 11)], "label": ["설맞이"]})
ORDINARY_HOLIDAY = 14 * 1000 * 0.8
KEPT = 0.2
"""Share of what was wanted that is sold in the window."""


def launch(*, factor: float = 2.5, noise: float = 0.03, seed: int = 1, promoted: float = 6.0, first: date = date(2025, 1, 5)) -> pl.DataFrame:
    """Hourly sales: a promotion, four ordinary days (11 to 14 February), two weeks of nothing, and the launch on a holiday, failing from 10:00."""
    rng = np.random.default_rng(seed)
    rows = []
    for day in (first + timedelta(days=n) for n in range((date(2025, 3, 2) - first).days)):
        if date(2025, 2, 15) <= day < date(2025, 3, 1):
            continue
        launched = day == date(2025, 3, 1)
        kind = 0.8 if launched or day.weekday() == 6 else 1.2 if day.weekday() == 5 else 1.0
        level = 1000 * kind * (promoted if day <= date(2025, 2, 10) else 1.0) * (factor if launched else 1.0) * np.exp(rng.normal(0, noise))
        midnight = datetime.combine(day, datetime.min.time())
        rows += [(midnight + timedelta(hours=h), "m1", level * (KEPT if launched and h >= 10 else 1.0)) for h in range(24)]
    return pl.DataFrame(rows, schema=["at", "market_id", "sales"], orient="row")


def found(sales: pl.DataFrame, **more: Any):
    return launch_scenario(sales, START, END, **{"promotions": PROMOTIONS, **more})


def test_the_loss_at_the_true_factor_is_found_although_no_ordinary_holiday_was_seen() -> None:
    scenario = found(launch(noise=0.0))
    assert scenario.ordinary == pytest.approx(ORDINARY_HOLIDAY)
    lost, low, high = scenario.at(2.5)
    assert lost == pytest.approx(2.5 * ORDINARY_HOLIDAY * (1 - KEPT))
    assert low < lost < high


def test_the_loss_moves_with_the_factor_and_no_single_figure_is_given() -> None:
    scenario = found(launch(), factor_low=0.5, factor_high=4.0)
    assert not hasattr(scenario, "lost")
    assert scenario.factors["factor"].to_list()[0] == pytest.approx(0.5)
    assert scenario.factors["factor"].to_list()[-1] == pytest.approx(4.0)
    slope = scenario.factors["lost"].diff().drop_nulls() / scenario.factors["factor"].diff().drop_nulls()
    assert slope.to_list() == pytest.approx([scenario.ordinary] * len(slope))
    assert "no single figure" in scenario.warnings[0]


def test_intervals_at_the_true_factor_hold_the_loss_about_nine_times_in_ten_or_more() -> None:
    held = whole = 0
    for seed in range(40):
        factor = float(np.exp(np.random.default_rng(seed).uniform(np.log(0.5), np.log(4))))
        sales = launch(factor=factor, seed=seed, noise=0.15)
        scenario = found(sales)
        true = sales.filter(pl.col("at") >= START)["sales"].sum() * (1 - KEPT) / KEPT
        held += scenario.at(factor)[1] <= true <= scenario.at(factor)[2]
        whole += scenario.low <= true <= scenario.high
    assert held >= 34
    assert whole >= 34


def test_the_hours_before_narrow_what_the_range_alone_leaves_open() -> None:
    sales = launch()
    told, untold = found(sales), found(sales.filter(~pl.col("at").is_between(datetime(2025, 3, 1), START, closed="left")))
    assert told.morning is not None
    assert told.morning[1] <= 2.5 <= told.morning[2]
    assert untold.morning is None
    assert told.high - told.low < 0.6 * (untold.high - untold.low)
    assert any("is an assumption" in warning for warning in told.warnings)


def test_a_narrower_range_of_the_analyst_narrows_the_interval() -> None:
    wide, narrow = found(launch()), found(launch(), factor_low=2.0, factor_high=2.5)
    assert narrow.high - narrow.low < wide.high - wide.low


def test_the_promotions_factor_is_learnt_or_taken_as_given() -> None:
    given = found(launch(noise=0.0), promotions=PROMOTIONS.with_columns(factor=6.0))
    assert given.ordinary == pytest.approx(ORDINARY_HOLIDAY)
    wrong = found(launch(noise=0.0), promotions=PROMOTIONS.with_columns(factor=3.0))
    assert wrong.ordinary > 1.2 * ORDINARY_HOLIDAY


def test_few_ordinary_days_are_said_and_make_it_wider() -> None:
    few = found(launch(noise=0.02))
    assert any("Only 4 ordinary days" in warning for warning in few.warnings)
    many = found(launch(noise=0.02, promoted=1.0), promotions=None)
    assert not any("ordinary days" in warning for warning in many.warnings)
    assert many.spread < few.spread


def test_a_kind_of_day_that_was_never_seen_is_said() -> None:
    only_workdays = found(launch(first=date(2025, 2, 11)), promotions=None)
    assert any("No day of the launch's kind" in warning for warning in only_workdays.warnings)
    assert only_workdays.spread > found(launch()).spread


def test_days_near_a_great_feast_are_no_example() -> None:
    wild = launch(noise=0.0)
    feast = pl.col("at").dt.date().is_between(date(2025, 1, 24), date(2025, 1, 31))
    spoilt = wild.with_columns(sales=pl.when(feast).then(pl.col("sales") * 9).otherwise("sales"))
    assert found(spoilt).ordinary == pytest.approx(found(wild).ordinary)


def test_exclusions_are_never_learnt_from() -> None:
    wild = launch(noise=0.0)
    day = datetime(2025, 2, 12)
    spoilt = wild.with_columns(sales=pl.when(pl.col("at").dt.date() == day.date()).then(pl.col("sales") / 50).otherwise("sales"))
    spans = pl.DataFrame({"start": [day], "end": [day + timedelta(days=1)]})
    assert found(spoilt, exclusions=spans).ordinary == pytest.approx(ORDINARY_HOLIDAY)
    assert found(spoilt).ordinary < 0.9 * ORDINARY_HOLIDAY


def test_a_window_over_midnight_is_the_sum_of_its_days() -> None:
    sales = launch(noise=0.0)
    two = launch_scenario(sales, START, datetime(2025, 3, 2, 12), promotions=PROMOTIONS)
    assert two.ordinary == pytest.approx(ORDINARY_HOLIDAY + 12 * 800)


def test_nothing_ordinary_to_learn_from_is_refused() -> None:
    with pytest.raises(HistoryError, match="promotions of unknown factor"):
        found(launch().filter(~pl.col("at").is_between(datetime(2025, 2, 11), datetime(2025, 2, 15), closed="left")))


@pytest.mark.parametrize(("low", "high"), [(0, 4), (3, 2), (1, float("inf"))])
def test_impossible_factors_are_refused(low: float, high: float) -> None:
    with pytest.raises(AnalysisError, match="factor_low"):
        found(launch(), factor_low=low, factor_high=high)
    with pytest.raises(AnalysisError, match="factor"):
        found(launch()).at(0)
