"""Net shortfall and merchants' loss: what is recovery, what is an ordinary visit, and what no data can tell."""

import numpy as np
import pytest

from warehouse.analysis import AnalysisError, Share, made_up_share, merchants_loss, net_shortfall


def test_ordinary_repeat_visits_are_no_recovery() -> None:
    found = made_up_share(1000, 130, 10_000, 1300)
    assert found.share == pytest.approx(0)
    assert found.low == 0


def test_the_interval_of_a_difference_is_that_of_newcombe() -> None:
    # Newcombe (1998), method 10, example (a): 56/70 and 48/80, 95 %: 0.0524 to 0.3339
    found = made_up_share(70, 56, 80, 48, level=0.95)
    assert (found.share, found.low, found.high) == (pytest.approx(0.2), pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_the_interval_holds_the_true_share_about_nine_times_in_ten() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        found = made_up_share(200, int(rng.binomial(200, 0.05 + 0.3)), 400, int(rng.binomial(400, 0.05)))
        held += found.low <= 0.3 <= found.high
    assert 340 <= held <= 380


def test_net_takes_off_what_was_made_up_and_doubts_both() -> None:
    sure, unsure = Share(0.3, 0.3, 0.3), Share(0.3, 0.2, 0.4)
    assert net_shortfall(100, 80, 120, sure) == pytest.approx((70, 56, 84))
    assert net_shortfall(100, 80, 120, unsure)[1] == pytest.approx(70 - (14**2 + 10**2) ** 0.5)


@pytest.mark.parametrize("lost", [-100.0, 0.0])
def test_where_nothing_was_lost_nothing_is_made_up_nor_paid_by_other_means(lost: float) -> None:
    assert net_shortfall(lost, lost - 50, lost + 120, Share(0.3, 0.2, 0.4)) == (lost, lost - 50, lost + 120)
    assert merchants_loss(lost, lost - 50, lost + 120, [0.25]).row(0) == (0.25, lost, lost - 50, lost + 120)


def test_merchants_loss_is_a_line_over_what_is_not_known() -> None:
    line = merchants_loss(100, 80, 120)
    assert line["lost"].to_list() == pytest.approx([100, 90, 80, 70, 60, 50, 40, 30, 20, 10, 0])
    assert merchants_loss(100, 80, 120, [0.25]).row(0) == (0.25, 75, 60, 90)


def test_impossible_counts_and_shares_are_refused() -> None:
    with pytest.raises(AnalysisError, match="5 of 3"):
        made_up_share(3, 5, 10, 1)
    with pytest.raises(AnalysisError, match="0 of 0"):
        made_up_share(3, 1, 0, 0)
    with pytest.raises(AnalysisError, match="30"):
        merchants_loss(100, 80, 120, [30])
