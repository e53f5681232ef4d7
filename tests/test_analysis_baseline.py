"""Expected sales by step: what the live chart draws."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from warehouse.analysis import AnalysisError, FrameError, expected_sales

FIRST = date(2025, 1, 17)
DAY = datetime(2025, 2, 13)
FIVE = timedelta(minutes=5)


def nation(*, seed: int = 1, days: int = 28, level: float = 1.0) -> pl.DataFrame:
    """Sales of five minutes; the last day at ``level`` times its usual ones."""
    rng = np.random.default_rng(seed)
    minute = np.arange(0, 1440, 5)
    shape = 300 * np.exp(-(((minute - 840) / 260) ** 2)) + 1
    sold = rng.poisson(shape * np.append(np.ones(days - 1), level)[:, None] * np.exp(rng.normal(0, 0.04, (days, 1)))) * 25_000
    at = pl.datetime_range(
        datetime.combine(FIRST, datetime.min.time()), datetime.combine(FIRST, datetime.min.time()) + timedelta(days=days), "5m", closed="left", eager=True
    )
    return pl.DataFrame({"at": at, "sales": sold.ravel()}).filter(pl.col("sales") > 0)


def test_the_band_holds_about_nine_steps_in_ten() -> None:
    held = [
        found.join(history, on="at").select(pl.col("sales").is_between("low", "high").mean()).item()
        for seed in range(8)
        for history in [nation(seed=seed)]
        for found in [expected_sales(history, DAY, DAY + timedelta(days=1), as_of=DAY, step=FIVE)]
    ]
    assert 0.84 < np.mean(held) < 0.98


def test_the_hours_before_as_of_set_the_level() -> None:
    history = nation(level=2.0)
    noon = DAY.replace(hour=12)
    blind = expected_sales(history, noon, DAY + timedelta(days=1), as_of=DAY, step=FIVE)["expected"].sum()
    told = expected_sales(history, noon, DAY + timedelta(days=1), as_of=noon, step=FIVE)["expected"].sum()
    assert told / blind == pytest.approx(2.0, rel=0.08)


def test_nothing_after_as_of_is_used() -> None:
    noon = DAY.replace(hour=12)
    history = nation()
    changed = history.with_columns(sales=pl.when(pl.col("at") >= noon).then(7).otherwise("sales"))
    ask = {"start": DAY, "end": DAY + timedelta(days=1), "as_of": noon, "step": FIVE}
    assert expected_sales(changed, **ask).equals(expected_sales(history, **ask))


def test_excluded_spans_and_silent_days_are_not_history() -> None:
    history = nation()
    low, high = datetime(2025, 1, 30, 9), datetime(2025, 2, 6, 9)
    inside = pl.col("at").is_between(low, high, closed="left")
    wild = history.with_columns(sales=pl.when(inside).then(pl.col("sales") * 20).otherwise("sales"))
    spans = pl.DataFrame({"label": ["switch-off"], "starts_at": [low], "ends_at": [high]})
    ask = {"start": DAY, "end": DAY + timedelta(days=1), "as_of": DAY, "step": FIVE}
    assert expected_sales(wild, exclusions=spans, **ask).equals(expected_sales(history, exclusions=spans, **ask))
    silent = history.filter(~pl.col("at").is_between(datetime(2025, 1, 30), datetime(2025, 2, 6), closed="left"))
    ratio = expected_sales(silent, **ask)["expected"].sum() / expected_sales(history, **ask)["expected"].sum()
    assert ratio == pytest.approx(1.0, rel=0.05)


def test_each_group_is_a_series_of_its_own() -> None:
    history = pl.concat(
        [nation(seed=seed).with_columns(pl.col("sales") * weight, region=pl.lit(name)) for seed, name, weight in ((1, "big", 10), (2, "small", 1))]
    )
    found = expected_sales(history, DAY, DAY + timedelta(hours=3), as_of=DAY, step=FIVE)
    assert found.columns == ["region", "at", "expected", "low", "high"]
    summed = found.group_by("region").agg(pl.col("expected").sum()).sort("region")["expected"]
    assert len(found) == 72
    assert summed[0] > 5 * summed[1]


def test_aware_history_gives_aware_times_in_seoul() -> None:
    history = nation().with_columns(pl.col("at").dt.replace_time_zone("Asia/Seoul").dt.convert_time_zone("UTC"))
    found = expected_sales(history, DAY, DAY + timedelta(hours=1), as_of=DAY, step=FIVE)
    assert found.schema["at"] == pl.Datetime("us", "Asia/Seoul")
    assert found["at"][0].hour == 0


def test_without_history_there_is_no_expectation() -> None:
    ask = {"start": DAY, "end": DAY + timedelta(hours=1), "as_of": DAY, "step": FIVE}
    assert len(expected_sales(nation().clear(), **ask)) == 0
    assert expected_sales(nation().clear(), **ask).columns == ["at", "expected", "low", "high"]
    assert len(expected_sales(nation().filter(pl.col("at") >= DAY), **ask)) == 0


def test_a_step_or_a_frame_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(AnalysisError, match="divide a day"):
        expected_sales(nation(), DAY, DAY + timedelta(hours=1), as_of=DAY, step=timedelta(minutes=7))
    with pytest.raises(AnalysisError, match="31 days"):
        expected_sales(nation(), DAY, DAY, as_of=DAY)
    with pytest.raises(FrameError, match="'sales'"):
        expected_sales(nation().drop("sales"), DAY, DAY + timedelta(hours=1), as_of=DAY)


def test_a_level_that_the_morning_shows_plainly_is_followed_though_days_differ_and_one_series_is_all_there_is():
    chance = np.random.default_rng(3)
    midnight = datetime(2025, 3, 10)
    minutes = np.arange(0, 1440, 10)
    shape = 100_000 * np.exp(-(((minutes / 60 - 12) / 4) ** 2))
    at, sales = [], []
    for back in range(28, -1, -1):
        level = 2.5 if back == 0 else chance.lognormal(0, 0.25)
        sold = chance.poisson(level * shape / 1_000) * 1_000
        until = 60 if back == 0 else len(minutes)
        at += [midnight - timedelta(days=back) + timedelta(minutes=int(minute)) for minute in minutes[:until]]
        sales += sold[:until].tolist()
    flat = pl.DataFrame({"date": [(midnight - timedelta(days=back)).date() for back in range(40)], "day_type": "day"})
    start, step = midnight + timedelta(hours=10), timedelta(minutes=10)
    found = expected_sales(pl.DataFrame({"at": at, "sales": sales}), start, start + timedelta(hours=4), as_of=start, step=step, calendar=flat)
    assert found["expected"].sum() == pytest.approx(2.5 * shape[60:84].sum(), rel=0.1)
