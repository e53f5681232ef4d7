"""The benchmarks of launch, net and time count what they say, and fail where a claim is not held."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import estimate, feasts, launch, net
from benchmarks._coverage import failing, too_few
from benchmarks._pictures import HELD, MISSED, draw_intervals
from benchmarks._series import Series
from streams.simulator.korean_days import day_level


def test_a_method_is_scored_by_what_it_holds_and_by_its_width() -> None:
    rows = [(1, 2.0, "one", 50.0, 100.0, 40.0, 60.0), (2, 2.0, "one", 70.0, 100.0, 40.0, 60.0)]
    found = pl.DataFrame(rows, schema=["seed", "factor", "method", "true", "full", "low", "high"], orient="row")
    row = launch.table(found).row(0, named=True)
    assert (row["seeds"], row["covered"], row["width"]) == (2, 1, 20)
    # ten beyond the end cost 2 / 0.1 times ten
    assert row["winkler"] == pytest.approx((20 + 20 + 200) / 2)


def test_the_true_factor_of_a_world_is_drawn_anew_for_each_seed_and_is_in_its_demand() -> None:
    worlds = [launch.world(seed, 0.01) for seed in range(30)]
    factors = [factor for _, factor in worlds]
    assert len(set(factors)) == 30
    assert all(launch.LOW <= factor <= launch.HIGH for factor in factors)
    assert all(scenario.launch is not None and scenario.launch.pent_up == (factor, factor) for scenario, factor in worlds)
    assert sum(factor < 2**0.5 for factor in factors) in range(8, 23)


def test_worlds_of_the_net_tell_neither_purchase_nor_attempt() -> None:
    scenario, start, end = net.world(3, 0.01)
    assert not scenario.platform.sends_purchase_id
    assert scenario.incident[0].starts_at == start < end == scenario.incident[0].ends_at


def test_ways_to_the_net_are_compared_with_the_truth() -> None:
    ways = {"ours": [110.0, 190.0], "knowing_gross": [100.0, 200.0], "gross_estimate": [150.0, 300.0], "without_others": [90.0, 180.0]}
    shown = net.table(pl.DataFrame({"net": [100.0, 200.0], **ways}))
    assert shown["bias"].to_list() == pytest.approx([0, 0, 50, -10])
    assert shown["within 10 %"].to_list() == pytest.approx([100, 100, 0, 100])


def test_purchases_of_a_world_failed_where_an_attempt_was_not_decided_and_are_paid_by_their_first_approval() -> None:
    paid = [("both", 2, "approved", 600_000, 7), ("late", 1, "approved", 61_000, 8), ("taken", 1, "reversed", 90_000, 9)]
    payments = pl.DataFrame(paid, schema=["purchase_id", "attempt", "status", "occurred_at", "amount"], orient="row")
    failed = [("both", 1, 60_000, 7), ("both", 1, 61_000, 7), ("late", 1, 60_000, 8), ("taken", 1, 60_000, 9), (None, None, 60_000, 5)]
    errors = pl.DataFrame(failed, schema=["purchase_id", "attempt", "occurred_at", "amount"], orient="row").with_columns(service=pl.lit("payment"))
    found = net.failed_purchases(payments, errors).sort("purchase_id").select("purchase_id", "failures", "amount", "recovered_amount")
    assert found.rows() == [("both", 1, 7, 7), ("taken", 1, 9, None)]


def test_the_net_that_the_product_has_is_measured_beside_the_one_by_buyers() -> None:
    shown = net.table(pl.DataFrame({"net": [100.0, 200.0], "purchases": [110.0, 190.0], "purchases_knowing": [100.0, 200.0]}), net.BY_PURCHASES)
    assert shown["way"].to_list() == ["by purchases", "by purchases, had the gross been known"]
    assert shown["within 10 %"].to_list() == pytest.approx([100, 100])


def test_a_bootstrap_of_a_share_holds_it() -> None:
    low, high = net.bootstrap(np.array([True] * 54 + [False] * 6))
    assert low < 90 < high


def test_an_interval_that_misses_is_drawn_in_red(tmp_path: Path) -> None:
    draw_intervals(tmp_path / "p.svg", "title", "below", [(50.0, 40.0, 60.0), (70.0, 40.0, 60.0), (55.0, 40.0, 60.0)])
    drawn = (tmp_path / "p.svg").read_text(encoding="utf-8")
    assert drawn.count(HELD) == 2
    assert drawn.count(MISSED) == 1


def test_an_estimate_that_takes_too_long_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert estimate.main(["--markets", "20", "--turns", "1", "--most", "1000"]) == 0
    assert estimate.main(["--markets", "20", "--turns", "1", "--most", "0"]) == 1
    assert "Expected at most" in capsys.readouterr().err


def test_intervals_that_hold_what_they_claim_are_not_called_too_few_by_chance() -> None:
    assert not too_few(36, 40)
    assert not too_few(33, 40)
    assert too_few(32, 40)
    assert not too_few(1, 2)
    assert failing([("one", 20, 40), ("two", 40, 40)]) == ["Expected one to hold 90%: 20 of 40 are fewer than chance explains (binomial, 5%)."]


@pytest.mark.parametrize("strength", ["0", "1"])
def test_windows_around_a_feast_hold_whatever_the_feasts_of_a_world_do(
    strength: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, days = date(2023, 6, 1), 125
    level = np.array([day_level(first + timedelta(days=n)) for n in range(days)])
    hours = np.interp(np.arange(24), [0, 6, 8, 11, 14, 18, 22, 24], [1, 2, 30, 80, 60, 80, 10, 1])
    sold = np.random.default_rng(1).poisson(level[:, None] * hours).astype(float)
    world = Series("one", first, sold, np.zeros(days, dtype=bool), None, None, 0, 0)
    monkeypatch.setattr(feasts, "simulated", lambda _: world)
    monkeypatch.setattr(feasts, "WINDOWS", ((0, 24),))
    assert feasts.main(["--seeds", "1", "--strength", strength]) == 0
    assert capsys.readouterr().out.count("24 h from 0:00") == 3


def launches(held: int, of: int, method: str) -> list[tuple[int, float, str, float, float, float, float]]:
    """Worlds of a method of which ``held`` hold the loss."""
    return [(seed, 1.0, method, 50.0 if seed < held else 70.0, 100.0, 40.0, 60.0) for seed in range(of)]


@pytest.mark.parametrize(("held", "wrong"), [(36, 0), (30, 1)])
def test_a_launch_whose_intervals_without_the_factor_miss_too_often_fails(
    held: int, wrong: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*launches(40, 40, "ours, given the true factor"), *launches(held, 40, "ours, factor unknown"), *launches(5, 40, "the four ordinary days")]
    monkeypatch.setattr(launch, "measure", lambda seed, _: [row for row in rows if row[0] == seed - 1])
    assert launch.main(["--seeds", "40"]) == wrong
    assert ("ours, factor unknown" in capsys.readouterr().err) == bool(wrong)


@pytest.mark.parametrize(("column", "missed", "what"), [("gross_covered", 0.0, "of the gross"), ("purchases_knowing_high", 85.0, "had the gross been known")])
def test_intervals_of_gross_or_given_the_gross_that_miss_too_often_fail_the_net(
    column: str, missed: float, what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def incident(seed: int, held: int) -> dict[str, float]:
        values = {"net": 90.0, "ours": 90.0, "knowing_gross": 90.0, "gross_estimate": 100.0, "without_others": 80.0, "gross": 100.0, "full": 200.0}
        ends = {"low": 80.0, "high": 100.0 if seed % 10 else 85.0, "gross_covered": 1.0, "knowing_covered": 1.0}
        purchases = {f"purchases{which}{end}": at for which in ("", "_knowing") for end, at in (("", 90.0), ("_low", 80.0), ("_high", 100.0))}
        return {**values, **ends, **purchases} | ({} if seed <= held else {column: missed})

    for held, wrong in ((55, 0), (40, 1)):
        monkeypatch.setattr(net, "measure", lambda seed, _, held=held: incident(seed, held))
        assert net.main(["--seeds", "60"]) == wrong
        assert (what in capsys.readouterr().err) == bool(wrong)
