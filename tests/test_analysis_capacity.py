"""Capacity, headroom and warnings on made loads whose limit is known."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.demand_data import HOURS, hourly, midnight
from warehouse.analysis import AnalysisError, FrameError
from warehouse.analysis.capacity import Capacity, capacity_of, normal_distribution
from warehouse.analysis.early_warning import course, notices
from warehouse.analysis.forecast import forecast
from warehouse.analysis.headroom import headroom
from warehouse.analysis.load_test import capacity_by_test
from warehouse.analysis.peaks import peak_minutes

START = datetime(2025, 5, 5)
PROFILE = np.interp(np.arange(1440) / 60, np.arange(24), HOURS) / np.interp(np.arange(1440) / 60, np.arange(24), HOURS).max()


def loads(tops: list[float], limit: float = np.inf, *, seed: int = 0, broken: int | None = None) -> pl.DataFrame:
    """Days whose busiest minute wants ``tops``; above ``limit`` it tips over until evening: half fails, and retries come on top. ``broken``: a day on which it fails at noon whatever the load."""
    rng = np.random.default_rng(seed)
    rows = []
    for day, top in enumerate(tops):
        wanted = top * PROFILE
        attempts, failed = rng.poisson(wanted), np.zeros(1440, dtype=np.int64)
        over = np.flatnonzero(np.convolve(wanted, np.ones(3) / 3, "same") > limit * np.exp(rng.normal(0, 0.02)))
        begin = int(over[0]) if len(over) else 720 if broken == day else None
        if begin is not None:
            end = min(begin + 300, 1440) if len(over) else begin + 30
            attempts[begin:end] = (attempts[begin:end] * 1.6).astype(np.int64)
            failed[begin:end] = attempts[begin:end] // 2
        at = pl.datetime_range(START + timedelta(days=day), START + timedelta(days=day + 1), "1m", closed="left", eager=True)
        rows.append(pl.DataFrame({"minute_at": at, "service": "payment", "attempts": attempts, "failed": failed}))
    return pl.concat(rows)


def test_the_knee_s_interval_covers_the_limit_nine_times_in_ten_and_is_no_wider_than_it_must():
    found = [capacity_of(loads([300.0] * 5 + [560.0, 600.0, 640.0], 500.0, seed=seed)) for seed in range(20)]
    covered = [one.low <= 500 <= one.high for one in found]
    assert sum(covered) >= 17
    assert np.median([(one.high - one.low) / one.knee for one in found]) < 0.2
    assert {one.method for one in found} == {"change_point"}


def test_retries_do_not_pass_for_capacity():
    found = capacity_of(loads([300.0] * 3 + [520.0, 530.0], 500.0))
    assert found.knee < 540
    assert loads([300.0] * 3 + [520.0, 530.0], 500.0)["attempts"].max() > 700


def test_failures_at_a_load_that_was_carried_before_say_nothing_of_capacity():
    found = capacity_of(loads([600.0, 600.0, 250.0, 600.0], broken=2))
    assert (found.method, found.knee) == ("carried", None)
    assert found.proven == pytest.approx(600, rel=0.05)


def test_a_hole_in_the_newest_minutes_does_not_take_what_was_carried_before():
    carried = loads([500.0] * 3)
    found = capacity_of(carried.filter(~pl.col("minute_at").is_in(carried["minute_at"][-4:-2].to_list())))
    assert found.proven == capacity_of(carried).proven


def test_a_service_that_never_reported_has_no_proven_capacity():
    found = capacity_of(loads([300.0]), "login")
    assert (found.method, found.proven) == ("none", None)


@pytest.mark.parametrize(("minutes", "attempts"), [(10, 300), (600, 0)])
def test_minutes_that_tell_of_no_load_are_not_called_carried(minutes, attempts):
    at = pl.datetime_range(START, START + timedelta(minutes=minutes), "1m", closed="left", eager=True)
    found = capacity_of(pl.DataFrame({"minute_at": at, "attempts": [attempts] * minutes, "failed": [0] * minutes}))
    assert (found.method, found.proven) == ("none", None)


def test_more_onsets_make_a_narrower_interval():
    one, many = (capacity_of(loads([300.0] * 3 + [600.0] * times, 500.0)) for times in (1, 8))
    assert many.high - many.low < one.high - one.low


def test_the_universal_scalability_law_is_found_in_a_load_test():
    n = np.array([1.0, 4, 8, 16, 32, 64, 96, 128])
    law = 600 * n / (1 + 0.03 * (n - 1) + 0.0004 * n * (n - 1))
    best = np.arange(1.0, 200)
    most = (600 * best / (1 + 0.03 * (best - 1) + 0.0004 * best * (best - 1))).max()
    covered = []
    for seed in range(20):
        noisy = law * (1 + np.random.default_rng(seed).normal(0, 0.02, len(n)))
        found = capacity_by_test(pl.DataFrame({"concurrency": n, "throughput": noisy}))
        covered.append(found.low <= most <= found.high)
        assert found.method == "usl"
    assert sum(covered) >= 16


def test_a_load_test_that_never_broke_proves_what_it_carried():
    found = capacity_by_test(pl.DataFrame({"offered": [100, 200, 300], "failed_share": [0.0, 0.0, 0.01]}))
    assert (found.proven, found.knee) == (300, None)
    broke = capacity_by_test(pl.DataFrame({"offered": [100, 200, 300], "failed_share": [0.0, 0.2, 0.5]}))
    assert (broke.proven, broke.high) == (100, 200)
    rising = capacity_by_test(pl.DataFrame({"concurrency": [1.0, 2, 3, 4, 5], "throughput": [10.0, 20, 30, 40, 50]}))
    assert (rising.proven, rising.knee) == (50, None)


def test_what_is_no_load_test_is_told():
    with pytest.raises(FrameError, match="five steps or more"):
        capacity_by_test(pl.DataFrame({"concurrency": [1.0, 2], "throughput": [1.0, 2]}))
    with pytest.raises(FrameError, match="'concurrency'"):
        capacity_by_test(pl.DataFrame({"users": [1.0]}))
    with pytest.raises(AnalysisError, match="level"):
        capacity_of(loads([300.0]), level=2)
    with pytest.raises(AnalysisError, match="level"):
        capacity_by_test(pl.DataFrame({"offered": [100.0, 200], "failed_share": [0.0, 0.5]}), level=0.9999)


@pytest.fixture(scope="module")
def before_chuseok():
    first, now = date(2024, 1, 1), date(2025, 9, 20)
    found = forecast(hourly(first, (now - first).days), as_of=midnight(now), days=30)
    return found, peak_minutes(found, None)


def test_a_load_test_below_the_forecast_peak_is_too_small_before_the_holiday(before_chuseok):
    attempts, peaks = before_chuseok
    needed = peaks["q95"].max()
    small = headroom(peaks, attempts, Capacity("payment", None, None, None, needed / 2, "load_test", 1), amount=25_000.0)
    row = small.table.filter(pl.col("factor") > 1, pl.col("name") == "추석").row(0, named=True)
    assert row["factor"] == pytest.approx(2.0, rel=0.01)
    assert row["before"] <= date(2025, 10, 4)
    assert row["probability"] > 0.95
    assert row["expected_loss"] > 0
    ample = headroom(peaks, attempts, Capacity("payment", None, None, None, needed * 2, "load_test", 1), amount=25_000.0)
    assert len(ample.table.filter(pl.col("factor") > 1)) == 0
    assert ample.table["probability"].max() < 0.01


def test_without_a_proven_capacity_only_what_is_needed_is_told(before_chuseok):
    attempts, peaks = before_chuseok
    found = headroom(peaks, attempts, Capacity("payment", None, None, None, None, "none", 0), amount=25_000.0).table
    assert found["needed"].null_count() == 0
    assert found["capacity"].null_count() == found["headroom"].null_count() == found["expected_loss"].null_count() == len(found)


def test_the_chance_of_passing_counts_what_the_knee_may_be(before_chuseok):
    attempts, peaks = before_chuseok
    at = peaks["q50"].max() * 1.25
    sure, unsure = (headroom(peaks, attempts, Capacity("payment", at, at / wide, at * wide, None, "change_point", 1), amount=1.0) for wide in (1.01, 1.5))
    assert unsure.table["probability"].max() > sure.table["probability"].max()


def rising(top: float, seed: int = 1) -> pl.DataFrame:
    return loads([top], seed=seed).drop("failed").with_columns(pl.col("minute_at") + timedelta(days=28))


def test_a_load_that_will_pass_the_capacity_is_told_of_before_it_does():
    known = course(loads([300.0 + day % 7 for day in range(28)]), START + timedelta(days=28))
    given = notices(rising(800.0), known, 600.0)
    passes = int(np.flatnonzero(800 * PROFILE > 600)[0])
    first = given[0].at.hour * 60 + given[0].at.minute
    assert 10 <= passes - first <= 75
    assert given[0].expected_at > given[0].at


def test_an_ordinary_day_gives_no_notice():
    known = course(loads([300.0 + day % 7 for day in range(28)]), START + timedelta(days=28))
    assert [len(notices(rising(300.0, seed), known, 345.0)) for seed in range(5)] == [0] * 5


def test_once_it_fails_there_is_nothing_left_to_warn_of():
    known = course(loads([300.0] * 28), START + timedelta(days=28))
    day = loads([700.0], 300.0).with_columns(pl.col("minute_at") + timedelta(days=28))
    begins = day.filter(pl.col("failed") > 0)["minute_at"][0]
    after = [one for one in notices(day, known, 300.0) if begins < one.at < begins + timedelta(hours=5)]
    assert after == []


def test_a_warning_needs_a_capacity_and_one_day():
    known = course(loads([300.0] * 8), START + timedelta(days=28))
    with pytest.raises(AnalysisError, match="capacity"):
        notices(rising(300.0), known, 0.0)
    with pytest.raises(AnalysisError, match="of one day"):
        notices(loads([300.0, 300.0]), known, 500.0)


def test_the_normal_distribution_is_that_of_the_tables():
    assert normal_distribution(np.array([-1.96, 0.0, 1.0, 2.5])) == pytest.approx([0.025, 0.5, 0.841345, 0.99379], abs=1e-4)
