"""What failed buyers made up later, told by buyers: ordinary visits are no recovery, and what nobody saw is a range."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from warehouse.analysis import AnalysisError, FrameError, Share, made_up_by_buyers, net_by_buyers, net_by_purchases, with_unseen

START, END = datetime(2025, 3, 14, 10), datetime(2025, 3, 14, 14)
HOUR = timedelta(hours=1)
Frames = tuple[pl.DataFrame, pl.DataFrame]
SCHEMA = {"at": pl.Datetime("us"), "user_key": pl.String, "market_id": pl.String, "amount": pl.Int64}


def frames(*, back: float = 0.0, repeats: float = 0.0, buyers: int = 3000, held: int = 0, held_back: float = 0.0, seed: int = 1) -> Frames:
    """Failures and approvals: of the buyers who failed ``back`` make it up later; of all buyers on any day ``repeats`` come again later anyway."""
    rng = np.random.default_rng(seed)
    failures, approvals = [], []
    for day in range(1, 13):
        for n in range(buyers // 6):
            at = START - timedelta(days=day) + float(rng.uniform(0, 4)) * HOUR
            approvals.append((at, f"o{day}-{n}", f"m{n % 9}", int(rng.lognormal(10, 0.5))))
            if rng.random() < repeats:
                approvals.append((END - timedelta(days=day) + 2 * HOUR, f"o{day}-{n}", f"m{n % 9}", int(rng.lognormal(10, 0.5))))
    for n in range(buyers):
        at, amount = START + float(rng.uniform(0, 4)) * HOUR, int(rng.lognormal(10, 0.5))
        failures += [(at, f"f{n}", f"m{n % 9}", amount)] * 3
        if rng.random() < back:
            approvals.append((END + HOUR, f"f{n}", f"m{n % 9}", amount))
        if rng.random() < repeats:
            approvals.append((END + 2 * HOUR, f"f{n}", f"m{n % 9}", int(rng.lognormal(10, 0.5))))
    for n in range(held):
        failures.append((START + float(rng.uniform(0, 4)) * HOUR, f"h{n}", None, None))
        if rng.random() < held_back:
            approvals.append((END + HOUR, f"h{n}", "m1", int(rng.lognormal(10, 0.5))))
    return pl.DataFrame(failures, schema=SCHEMA, orient="row"), pl.DataFrame(approvals, schema=SCHEMA, orient="row")


def test_ordinary_visits_of_the_same_buyers_are_no_recovery() -> None:
    found = made_up_by_buyers(*frames(repeats=0.3), START, END)
    assert found.share.share < 0.03
    assert found.share.low == 0


def test_what_was_made_up_is_found_beside_ordinary_visits() -> None:
    found = made_up_by_buyers(*frames(back=0.25, repeats=0.3), START, END)
    assert found.share.share == pytest.approx(0.25, abs=0.03)
    assert found.share.low < 0.25 < found.share.high
    assert found.failed == 3000


def test_the_interval_holds_the_true_share_about_nine_times_in_ten() -> None:
    held = 0
    for seed in range(60):
        share = made_up_by_buyers(*frames(back=0.3, repeats=0.2, buyers=240, seed=seed), START, END).share
        held += share.low <= 0.3 <= share.high
    assert 48 <= held <= 60


def test_several_tries_at_one_amount_owe_it_once() -> None:
    failures, approvals = frames(buyers=300)
    assert made_up_by_buyers(failures, approvals, START, END).failed_amount == failures.unique(["user_key", "amount"])["amount"].sum()


def test_who_was_served_within_the_window_owes_nothing() -> None:
    failures, approvals = frames(buyers=300)
    served = failures.unique(["user_key"]).head(100).with_columns(pl.lit(END - timedelta(minutes=1)).alias("at"))
    assert made_up_by_buyers(failures, pl.concat([approvals, served.select(approvals.columns)]), START, END).failed == 200


def test_others_are_followed_no_longer_than_the_failed_are_known() -> None:
    failures, approvals = frames(back=0.25)
    evening = [(END - timedelta(days=day) + 8 * HOUR, f"o{day}-{n}", f"m{n % 9}", 22_000) for day in range(1, 13) for n in range(250)]
    late = pl.concat([approvals, pl.DataFrame(evening, schema=SCHEMA, orient="row")])
    known = made_up_by_buyers(failures, late, START, END, as_of=END + 3 * HOUR).share.share
    assert known == pytest.approx(0.25, abs=0.03)
    assert made_up_by_buyers(failures, late, START, END).share.share < 0.1


def test_too_few_buyers_are_no_sample() -> None:
    with pytest.raises(AnalysisError, match="30 buyers"):
        made_up_by_buyers(*frames(buyers=20), START, END)
    failures, approvals = frames(buyers=100)
    with pytest.raises(FrameError, match="amount"):
        made_up_by_buyers(failures.drop("amount"), approvals, START, END)


def test_net_takes_those_who_were_kept_out_by_those_of_them_whom_events_name() -> None:
    failures, approvals = frames(back=0.1, held=2000, held_back=0.5)
    owed = float(failures.filter(pl.col("market_id").is_not_null()).unique(["user_key", "amount"])["amount"].sum())
    net = net_by_buyers((2 * owed, 2 * owed, 2 * owed), failures, approvals, START, END)
    assert net.unseen == pytest.approx(0.5, abs=0.02)
    assert net.made_up.share == pytest.approx(0.3, abs=0.04)
    assert net.low < 2 * owed * 0.7 < net.high
    assert [remark.code for remark in net.remarks] == ["net_of_buyers", "net_kept_out"]


def test_net_without_a_word_of_those_kept_out_is_wider_and_says_so() -> None:
    failures, approvals = frames(back=0.3)
    owed = float(failures.unique(["user_key", "amount"])["amount"].sum())
    seen, half_seen = (net_by_buyers((size * owed,) * 3, failures, approvals, START, END) for size in (1, 2))
    assert half_seen.made_up.high - half_seen.made_up.low > 2 * (seen.made_up.high - seen.made_up.low)
    assert half_seen.remarks[-1].code == "net_unseen"


def test_cards_without_an_account_are_no_unseen_buyers() -> None:
    failures, approvals = frames(back=0.3)
    owed = float(failures.unique(["user_key", "amount"])["amount"].sum())
    unknown = pl.when(pl.col("user_key").str.ends_with("7")).then(None).otherwise("user_key").alias("user_key")
    assert net_by_buyers((owed,) * 3, failures.with_columns(unknown), approvals, START, END).unseen < 0.05


def test_unseen_buyers_widen_a_share_to_none_and_to_twice_as_many() -> None:
    assert with_unseen(Share(0.2, 0.15, 0.25), 0.5) == Share(0.2, pytest.approx(0.05), pytest.approx(0.35))
    with pytest.raises(AnalysisError, match="unseen"):
        with_unseen(Share(0.2, 0.15, 0.25), 30)


def numbered(*, back: float, count: int = 20_000) -> pl.DataFrame:
    """Purchases of 10,000 KRW with an id that failed at the start: a share of them was made good after the end."""
    later = [END + HOUR if n < back * count else None for n in range(count)]
    told = {"purchase_id": [str(n) for n in range(count)], "first_failure_at": START, "amount": 10_000}
    return pl.DataFrame({**told, "recovered_at": pl.Series(later, dtype=pl.Datetime("us")), "recovered_amount": 10_000})


@pytest.mark.parametrize(("level", "deviations"), [(0.9, 1.645), (0.5, 0.674)])
def test_net_by_purchases_doubts_its_share_by_more_than_chance_since_numbers_do_not_tell_every_return(level: float, deviations: float) -> None:
    owed = 20_000 * 10_000.0
    net = net_by_purchases((owed,) * 3, numbered(back=0.3), START, END, level=level)
    assert (net.made_up.share, net.unseen, net.value) == (pytest.approx(0.3), 0.0, pytest.approx(0.7 * owed))
    assert net.made_up.high - 0.3 == pytest.approx(0.04 * deviations, rel=0.03)
    assert 0.3 - net.made_up.low == pytest.approx(0.04 * deviations, rel=0.03)


def test_where_next_to_nothing_was_made_up_the_net_may_exceed_the_gross_since_approvals_are_taken_back() -> None:
    owed = 20_000 * 10_000.0
    net = net_by_purchases((owed,) * 3, numbered(back=0.01), START, END)
    assert net.value < owed < net.high < 1.07 * owed
