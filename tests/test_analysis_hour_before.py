"""What was missing, or too much, just before a window is no level of its day: it is said, and the interval allows for it."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from tests.test_analysis_loss import country, hurt
from warehouse.analysis import LossEstimate, estimate_loss

WINDOW = datetime(2025, 2, 26, 13), datetime(2025, 2, 26, 17)
EARLY = WINDOW[0] - timedelta(hours=1)
SEEDS = range(10)


def remarks(found: LossEstimate) -> dict[str, object]:
    return {remark.code: remark.values for remark in found.warnings}  # type: ignore[attr-defined]


def lost_in_window(sales: pl.DataFrame, hurt_sales: pl.DataFrame) -> float:
    inside = pl.col("at").is_between(*WINDOW, closed="left")
    return float(sales.filter(inside)["sales"].sum() - hurt_sales.filter(inside)["sales"].sum())


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_an_incident_that_began_before_the_window_is_found_out_and_its_loss_held(share: float) -> None:
    held = 0
    for seed in SEEDS:
        sales = country(seed=seed, markets=12)
        known = hurt(sales, share, EARLY, WINDOW[1])[0]
        found = estimate_loss(known, *WINDOW)
        assert remarks(found)["missing_before"] == {"start": EARLY, "share": pytest.approx(share, abs=0.1)}
        lost = lost_in_window(sales, known)
        held += found.low <= lost <= found.high
        # Begun where the remark says, nothing is missing before, and the estimate is near.
        whole = estimate_loss(known, EARLY, WINDOW[1])
        assert "missing_before" not in remarks(whole)
        assert whole.lost == pytest.approx(float(sales["sales"].sum() - known["sales"].sum()), rel=0.15)
    assert held >= 8


def test_one_great_payment_before_the_window_is_found_out_and_the_loss_held() -> None:
    held = 0
    for seed in SEEDS:
        sales = country(seed=seed, markets=12)
        then = pl.col("at") == EARLY
        paid = float(sales.filter(then)["sales"].sum())
        sales = sales.with_columns(sales=pl.when(then & (pl.col("market_id") == "m00")).then(pl.col("sales") + paid).otherwise("sales"))
        known, lost = hurt(sales, 0.8, *WINDOW)
        found = estimate_loss(known, *WINDOW)
        assert "more_before" in remarks(found)
        held += found.low <= lost <= found.high
    assert held >= 8


@pytest.mark.parametrize("markets", [None, ["m00", "m03", "m06", "m09"]])
def test_an_ordinary_hour_before_changes_nothing(markets: list[str] | None) -> None:
    said = 0
    for seed in SEEDS:
        found = remarks(estimate_loss(hurt(country(seed=seed, markets=12), 0.8, *WINDOW, markets)[0], *WINDOW, markets=markets))
        said += "missing_before" in found or "more_before" in found
    # One hour in fifty is told by chance.
    assert said <= 1


def test_an_hour_before_that_is_excluded_or_closed_says_nothing() -> None:
    known = hurt(country(markets=12), 1.0, EARLY, WINDOW[1])[0]
    excluded = pl.DataFrame({"start": [EARLY - timedelta(hours=8)], "end": [WINDOW[0]]})
    assert not {"missing_before", "more_before"} & set(remarks(estimate_loss(known, *WINDOW, exclusions=excluded)))
