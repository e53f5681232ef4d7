"""Buyers who come back after one incident are no level for the next one of the day."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from tests.test_analysis_loss import country, hurt
from warehouse.analysis import LossEstimate, bands, estimate_loss
from warehouse.analysis.recovery import COMES_BACK, HALF_LIFE, Recovery
from warehouse.analysis.shocks import Cells, Kernel, Known, Shocks

EARLIER = datetime(2025, 2, 26, 9), datetime(2025, 2, 26, 12)
LATER = datetime(2025, 2, 26, 14), datetime(2025, 2, 26, 17)
HOUR = timedelta(hours=1)


def twice(seed: int, back: float, markets: list[str] | None = None) -> tuple[pl.DataFrame, float]:
    """Two incidents on a day, of all that was lost in the first so much comes back in the two hours between; what is lost in the second."""
    sales, lost = hurt(country(seed=seed, markets=12), 1.0, *EARLIER, markets)
    of_hit = pl.lit(value=True) if markets is None else pl.col("market_id").is_in(markets)
    # Twice as much in the first hour as in the second.
    for hour, share in ((EARLIER[1], 2 / 3), (EARLIER[1] + HOUR, 1 / 3)):
        then = of_hit & (pl.col("at") == hour)
        factor = 1 + back * share * lost / sales.filter(then)["sales"].sum()
        sales = sales.with_columns(sales=pl.when(then).then(pl.col("sales") * factor).otherwise("sales"))
    return hurt(sales, 0.8, *LATER, markets)


def estimated(sales: pl.DataFrame, markets: list[str] | None = None) -> LossEstimate:
    exclusions = pl.DataFrame({"start": EARLIER[0], "end": EARLIER[1], "market_id": pl.Series(markets or [None], dtype=pl.String)})
    return estimate_loss(sales, *LATER, markets=markets, exclusions=exclusions)


def codes(found: LossEstimate) -> list[str]:
    return [remark.code for remark in found.warnings]  # type: ignore[attr-defined]


@pytest.mark.parametrize("markets", [None, ["m00", "m03", "m06", "m09"]], ids=["nation", "region"])
@pytest.mark.parametrize("back", [0.0, 0.3, 0.6])
def test_whether_buyers_came_back_or_not_the_next_incident_is_estimated_as_well(back: float, markets: list[str] | None) -> None:
    off, held = [], 0
    for seed in range(12):
        sales, lost = twice(seed, back, markets)
        found = estimated(sales, markets)
        off.append(found.lost / lost - 1)
        held += found.low <= lost <= found.high
        # Of a region the others tell in the same hours.
        assert ("recovering" in codes(found)) == (markets is None)
    assert abs(np.mean(off)) < 0.04
    assert held >= 10


def test_hours_after_an_incident_are_told_apart_only_where_one_was() -> None:
    found = estimate_loss(hurt(country(markets=12), 0.8, *LATER)[0], *LATER)
    assert "recovering" not in codes(found)
    # One that ended the day before is past.
    exclusions = pl.DataFrame({"start": [EARLIER[0] - 24 * HOUR], "end": [EARLIER[1] - 24 * HOUR]})
    assert "recovering" not in codes(estimate_loss(hurt(country(markets=12), 0.8, *LATER)[0], *LATER, exclusions=exclusions))


def test_what_comes_back_fades_and_is_a_share_of_what_was_lost() -> None:
    starts, lengths = np.arange(0, 720, 60), np.full(12, 60)
    share = np.array([0.25, 0.75])
    one = Recovery.of([(60, 180, None)]).strays(starts, lengths, share)
    assert (one[:3] == 0).all()
    assert one[3] == pytest.approx(COMES_BACK * 120 * np.log(2) / HALF_LIFE * 0.5 ** (30 / HALF_LIFE))
    assert one[4] == pytest.approx(one[3] * 0.5 ** (60 / HALF_LIFE))
    assert (one[9:] == 0).all()
    assert Recovery.of([(60, 180, 0)]).strays(starts, lengths, share) == pytest.approx(one * 0.25)
    # Of a day without service no more comes back at once than of three hours.
    assert Recovery.of([(-1260, 180, None)]).strays(starts, lengths, share) == pytest.approx(one * 1.5)


def test_what_nobody_knows_of_a_recovery_widens_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    sales, _ = twice(1, 0.3)
    told = estimated(sales)
    monkeypatch.setattr(bands, "NOTABLE", np.inf)
    untold = estimated(sales)
    assert told.expected == untold.expected
    assert told.low < untold.low
    assert told.high > untold.high


def test_a_level_that_a_recovery_explains_is_none_that_lasts() -> None:
    slots, one = np.zeros(24), np.zeros(2, np.int64)
    none = Kernel(0.0, 0.0, 1.0, slots)
    shocks = Shocks(Kernel(0.001, 0.001, 6.0, slots), none, none, 0.0, slots == 0)
    cells, asked = Cells(one, np.array([12, 13]), np.array([12.5, 13.5])), Cells(one[:1], np.array([14]), np.array([14.5]))
    wanted = np.array([100.0, 100.0])
    explained, unexplained = (
        shocks.ratios([Known(np.ones(1), cells, wanted * 1.7, wanted, recovery)], one[:1], asked, wanted[:1], 0.5)[0].item()
        for recovery in (np.full(2, 0.35), np.zeros(2))
    )
    assert unexplained > 1.4
    assert explained < 1.1
