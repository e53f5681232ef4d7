"""Methods side by side, and where they disagree beyond their intervals."""

from datetime import datetime

import polars as pl
import pytest

from warehouse.analysis import AttemptsEstimate, FrameError, Reconciliation, Share, estimate_attempts, reconcile

START, END = datetime(2025, 3, 1, 10), datetime(2025, 3, 1, 14)
GROSS = (100.0, 80.0, 120.0)


def attempts(amount: int, *, turns: int | None = 0, purchases: int = 10) -> AttemptsEstimate:
    """So many purchases that failed and came to ``amount`` together; ``turns`` that ended in the queue (None: nobody says)."""
    rows = {
        "purchase_id": [str(n) for n in range(purchases)],
        "market_id": "m1",
        "first_failure_at": START,
        "failures": 1,
        "amount": amount // purchases,
        "recovered_at": pl.Series([None] * purchases, dtype=pl.Datetime("us")),
    }
    load = None if turns is None else pl.DataFrame({"service": ["queue"], "abandoned": [turns], "failed": [0], "queue_length": [turns]})
    return estimate_attempts(pl.DataFrame(rows), START, END, load=load)


def disagreements(found: Reconciliation) -> list[str]:
    return [remark.code for remark in found.disagreements]


def claims(amount: int) -> pl.DataFrame:
    return pl.DataFrame({"source": ["언론 보도"], "amount": [amount]})


def test_methods_that_agree_stand_side_by_side_without_a_word() -> None:
    found = reconcile(GROSS, attempts=attempts(90), net=(70.0, 50.0, 90.0), substitution=Share(0.5, 0.4, 0.6), claims=claims(40))
    assert found.table["method"].to_list() == ["counterfactual", "attempts", "unseen", "net", "merchants_loss", "claim"]
    assert found.disagreements == []


def test_attempts_beyond_the_interval_from_above_disagree() -> None:
    assert disagreements(reconcile(GROSS, attempts=attempts(130))) == ["attempts_above"]
    assert disagreements(reconcile(GROSS, attempts=attempts(110))) == []


def test_attempts_far_below_disagree_only_where_a_queue_cannot_explain_it() -> None:
    assert disagreements(reconcile(GROSS, attempts=attempts(50, turns=0))) == ["attempts_below"]
    assert disagreements(reconcile(GROSS, attempts=attempts(50, turns=2))) == ["attempts_below"]
    assert disagreements(reconcile(GROSS, attempts=attempts(50, turns=20))) == []
    assert disagreements(reconcile(GROSS, attempts=attempts(50, turns=None))) == []


def test_what_no_attempt_shows_lies_between_both() -> None:
    unseen = reconcile(GROSS, attempts=attempts(60, turns=100)).table.row(2, named=True)
    assert (unseen["value"], unseen["low"], unseen["high"]) == (40, 20, 60)
    assert "600" in unseen["remark"]


def test_a_claim_is_held_against_the_merchants_loss_and_not_the_gross_one() -> None:
    known = {"net": (70.0, 60.0, 80.0), "substitution": Share(0.5, 0.5, 0.5)}
    assert disagreements(reconcile(GROSS, **known, claims=claims(100))) == ["claim_above"]
    assert disagreements(reconcile(GROSS, **known, claims=claims(10))) == ["claim_below"]
    assert disagreements(reconcile(GROSS, **known, claims=claims(35))) == []


def test_without_a_survey_the_merchants_loss_is_a_span_without_a_value() -> None:
    row = reconcile(GROSS, net=(70.0, 60.0, 80.0), claims=claims(81)).table.row(2, named=True)
    assert (row["method"], row["value"], row["low"], row["high"]) == ("merchants_loss", None, 0, 80)
    assert disagreements(reconcile(GROSS, net=(70.0, 60.0, 80.0), claims=claims(81))) == ["claim_above"]
    assert disagreements(reconcile(GROSS, net=(70.0, 60.0, 80.0), claims=claims(1))) == []


def test_an_unknown_net_is_said_and_never_taken_for_zero() -> None:
    found = reconcile(GROSS, substitution=Share(0.5, 0.4, 0.6))
    net, merchants = found.figures[1:]
    assert net.value is None
    assert [remark.code for remark in net.remarks] == ["net_unknown"]
    assert (merchants.value, merchants.low, merchants.high) == (None, 0, 120)


def test_the_spread_of_the_survey_widens_the_merchants_loss() -> None:
    sure, unsure = (reconcile(GROSS, net=(70.0, 60.0, 80.0), substitution=share).figures[-1] for share in (Share(0.5, 0.5, 0.5), Share(0.5, 0.2, 0.8)))
    assert sure.value == unsure.value == 35
    assert (sure.low, sure.high) == (30, 40)
    assert unsure.low is not None and unsure.low < 35 - 20
    assert unsure.high is not None and unsure.high > 35 + 20


def test_claims_without_a_source_are_refused() -> None:
    with pytest.raises(FrameError, match="source"):
        reconcile(GROSS, claims=pl.DataFrame({"amount": [1]}))
