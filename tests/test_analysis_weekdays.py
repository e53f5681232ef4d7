"""Weekdays of one kind of day are told apart by as much as past weeks vouch for, and by no more."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.test_analysis_loss import country, hurt
from warehouse.analysis import estimate_loss
from warehouse.analysis.weekdays import Weekdays

DAYS = np.arange(63)
KINDS = np.where(DAYS % 7 == 5, 1, np.where(DAYS % 7 == 6, 2, 0))
"""Nine weeks from a Monday on: workdays, Saturdays, Sundays."""

NO_DAY = np.zeros((1, len(DAYS)), dtype=bool)


def weeks(friday: float, noise: float, seed: int = 0) -> Weekdays:
    sold = 1000 * np.where(DAYS % 7 == 4, friday, 1.0) * np.exp(np.random.default_rng(seed).normal(0, noise, len(DAYS)))
    return Weekdays.of(sold, np.full(len(DAYS), 1000.0), KINDS, noise=1.0)


def factor(weekdays: Weekdays, day: int) -> float:
    return float(weekdays.factor(np.array([day]), NO_DAY)[0])


def test_a_weekday_that_sells_more_each_week_is_told_and_nearly_by_as_much() -> None:
    found = weeks(friday=1.2, noise=0.05)
    assert factor(found, 60) == pytest.approx(1.2, abs=0.04)
    assert factor(found, 58) == pytest.approx(1.0, abs=0.04)


def test_chance_is_no_weekday() -> None:
    apart = [factor(weeks(friday=1.0, noise=0.1, seed=seed), day) - 1 for seed in range(100) for day in range(56, 61)]
    # nine days with a standard deviation of 10 % have a mean that strays by 3.3 %
    assert np.std(apart) < 0.025


def test_one_great_day_is_no_weekday() -> None:
    sold = np.full(len(DAYS), 1000.0) * np.exp(np.random.default_rng(1).normal(0, 0.03, len(DAYS)))
    sold[32] *= 2
    found = Weekdays.of(sold, np.full(len(DAYS), 1000.0), KINDS, noise=1.0)
    assert factor(found, 60) == pytest.approx(1.0, abs=0.03)


def test_kinds_with_one_weekday_and_too_few_weeks_and_sales_are_left_as_they_are() -> None:
    found = weeks(friday=1.2, noise=0.05)
    assert [factor(found, day) for day in (61, 62)] == [1.0, 1.0]
    two_weeks = np.ones((1, len(DAYS)), dtype=bool)
    two_weeks[0, 42:56] = False
    assert found.factor(np.array([60]), two_weeks)[0] == 1.0
    few = Weekdays.of(20 * (1 + found.strays), np.full(len(DAYS), 20.0), KINDS, noise=1.0)
    assert factor(few, 60) == 1.0


def test_a_day_is_told_by_others_than_those_left_out() -> None:
    sold = 1000 * np.exp(np.random.default_rng(2).normal(0, 0.05, len(DAYS)))
    sold[DAYS % 7 == 4] *= np.linspace(1.1, 1.3, 9)
    found = Weekdays.of(sold, np.full(len(DAYS), 1000.0), KINDS, noise=1.0)
    late = np.arange(len(DAYS))[None, :] < 28
    early = ~late
    assert found.factor(np.array([60]), late)[0] > found.factor(np.array([60]), early)[0] + 0.05


def test_a_friday_that_fails_from_its_first_minute_on_is_held_against_fridays() -> None:
    errors: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(6):
        sales = country(days=63, first=datetime(2025, 1, 2).date(), seed=seed, markets=6)
        sales = sales.with_columns(sales=pl.when(pl.col("at").dt.weekday() == 5).then(pl.col("sales") * 1.3).otherwise("sales"))
        start = datetime(2025, 2, 28)
        for weeks_known in (8, 2):
            known = sales.filter(pl.col("at") >= start - timedelta(weeks=weeks_known))
            broken, lost = hurt(known.filter(pl.col("at") < start + timedelta(days=1)), 1.0, start, start + timedelta(days=1))
            found = estimate_loss(broken, start, start + timedelta(days=1), complete_until=start + timedelta(days=1))
            errors[weeks_known > 2].append(found.lost / lost - 1)
    assert abs(np.mean(errors[True])) < 0.5 * abs(np.mean(errors[False]))
