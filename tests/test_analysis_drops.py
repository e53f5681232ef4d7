"""A drop of the nation's sales: how soon it shows, how seldom chance looks like one; what is not enough for a part or for a first week."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from tests.test_analysis_incidents import DAY, MIDNIGHT, counts, expectation, hurt, minutes_of, only, run
from warehouse.analysis import Usual, usual_day
from warehouse.analysis.budget import INDEPENDENT, Drift
from warehouse.analysis.drops import drops

STEADY = Drift(nation=2e-5)
DUE = np.full((40, 720), 100.0)
SOLD = np.random.default_rng(3).poisson(DUE).astype(float)


def after(share: float, minute: int) -> np.ndarray:
    """The same sales, of which ``share`` is gone from a minute on."""
    found = SOLD.copy()
    found[:, minute:] = np.random.default_rng(4).binomial(found[:, minute:].astype(int), 1 - share)
    return found


@pytest.mark.parametrize(("share", "soon"), [(0.2, 8), (0.5, 2), (1.0, 1)])
def test_a_drop_shows_the_sooner_the_larger_it_is(share: float, soon: int) -> None:
    alarm = np.log(INDEPENDENT * 20_160)
    found = drops(after(share, 600), DUE, STEADY, 1, low=600).strength[:, :60] >= alarm
    assert found.any(axis=1).mean() >= 0.9
    assert np.median(np.where(found.any(axis=1), found.argmax(axis=1) + 1, 99)) <= soon


def test_chance_exceeds_the_statistic_no_oftener_than_it_says() -> None:
    found = drops(SOLD, DUE, STEADY, 1).strength[:, 60:] - np.log(INDEPENDENT)
    for once_in in (100, 1_000):
        assert (found >= np.log(once_in)).sum() <= 1.5 * found.size / once_in


def test_the_likeliest_onset_and_the_level_before_it_are_told() -> None:
    found = drops(after(0.5, 600) * 1.3, DUE, STEADY, 1, low=610)
    assert np.abs(found.window[:, 0] - 11).max() <= 3
    assert found.level[:, 0] == pytest.approx(1.3, rel=0.1)


def test_a_level_that_slides_is_followed_and_is_no_drop() -> None:
    slide = np.clip(1 - (np.arange(720) - 200) / 1_000, 0.5, 1.0)
    sold = np.random.default_rng(5).poisson(DUE * slide).astype(float)
    found = drops(sold, DUE, replace(STEADY, nation=1e-4), 1).strength
    assert (found.max(axis=1) < np.log(INDEPENDENT * 20_160)).mean() >= 0.95


def test_what_comes_later_changes_nothing_and_where_one_begins_to_look_neither() -> None:
    whole = drops(after(0.4, 500), DUE, STEADY, 1)
    part = drops(after(0.4, 500)[:, :520], DUE[:, :520], STEADY, 1, low=490)
    assert np.array_equal(part.strength, whole.strength[:, 490:520])
    assert np.array_equal(part.window, whole.window[:, 490:520])


def test_minutes_in_which_nothing_is_due_say_nothing() -> None:
    shut = DUE * (np.arange(720) < 300)
    assert drops(np.zeros((1, 720)), shut[:1] * 0, STEADY, 1).strength.max() < np.log(60)
    assert drops(SOLD[:2] * (shut[:2] > 0), shut[:2], STEADY, 1).strength[:, 400:].max() < np.log(60)


def test_what_rain_takes_from_a_region_is_no_incident_however_sure_it_is_and_more_is() -> None:
    calm = counts(seed=2, drift=0.005, of_region=0.005, a_day=760_000)
    usual = Usual(expectation(a_day=760_000), Drift(nation=2e-5, part=2e-5))
    assert run(hurt(calm, 600, 780, 0.25, failing=False, region=0), [0, 1440], expected=usual) == {}
    assert only(run(hurt(calm, 600, 780, 0.5, failing=False, region=0), [0, 1440], expected=usual))["scope_name"] == "r00"


def test_in_a_first_week_only_what_is_plain_alarms() -> None:
    history = minutes_of(counts(days=28, seed=8))
    first = usual_day(history, date(2025, 2, 11)).drift
    later = usual_day(history, date(2025, 3, 3)).drift
    assert min(first.nation_tail, first.part_tail) >= 10 > max(later.nation_tail, later.part_tail)
    expected = usual_day(history, date(2025, 2, 11))
    midnight = MIDNIGHT + timedelta(days=8)
    silent = hurt(DAY, 600, 660, 1.0, failing=False)
    assert only(run(silent, [0, 1440], expected=expected, first=midnight))["scope"] == "nation"
