"""Every shipped scenario shows what its name says, in small: who is hit, when, and who is not."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.events import CONTRACT
from streams.simulator import Scenario, commands, country, gross_shortfall, load_scenario, play, truth
from streams.simulator.korean_days import day_level
from streams.simulator.rhythm import national_level


def small(name: str, **changes) -> Scenario:
    """The scenario at a tenth of its size, with three days of history where that reaches the incident."""
    return load_scenario(name, scale=0.1, history_days=3).with_(**changes)


@cache
def cells(name: str) -> pl.DataFrame:
    return truth(small(name)).with_columns(missing=pl.col("ordinary_amount") - pl.col("approved_amount"))


def events(scenario: Scenario, topic: str) -> Iterator:
    for one in play(scenario):
        for value in one.records[topic].values if topic in one.records else ():
            yield msgspec.json.decode(value, type=CONTRACT[topic], strict=True)


def share_missing(part: pl.DataFrame) -> float:
    return part["missing"].sum() / part["ordinary_amount"].sum()


def during(name: str) -> pl.DataFrame:
    incident = load_scenario(name).incident[0]
    start, end = (moment.astimezone(UTC).replace(tzinfo=None) for moment in (incident.starts_at, incident.ends_at))
    return cells(name).filter(pl.col("minute_at").is_between(start, end, closed="left"))


@pytest.mark.parametrize("name", ["holiday-rush", "regional-outage", "card-only-outage", "issuer-outage", "slow-degradation", "flapping", "23-hour-outage"])
def test_sales_go_missing_in_the_incident_and_not_before_it(name):
    scenario = small(name)
    start, end = scenario.incident[0].starts_at, scenario.incident[0].ends_at
    # Where load makes it fail, that begins within minutes of the moment that is known.
    assert gross_shortfall(cells(name), scenario.start, start - timedelta(minutes=30 if scenario.capacity else 0)) == 0
    assert gross_shortfall(cells(name), start, end) > 0


@pytest.mark.parametrize("name", ["holiday-rush", "card-only-outage", "23-hour-outage"])
@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("wanted", ["sold", "made_up_later", "lost"]),
        ("made_up_later", ["tried_again", "switched_channel", "switched_market", "came_back_days_later"]),
        ("lost", ["failed", "unseen"]),
        ("lost", ["paid_paper", "paid_card", "paid_cash", "lost_for_good"]),
    ],
)
def test_every_whole_is_the_sum_of_its_parts_in_every_cell(name, whole, parts):
    for suffix in ("", "_amount"):
        total = pl.sum_horizontal(pl.col(part + suffix) for part in parts)
        assert cells(name).select((pl.col(whole + suffix) == total).all()).item()
    rare = {"unseen"} if name == "card-only-outage" else {"unseen", "switched_market"} if name == "23-hour-outage" else set()
    assert all(cells(name)[part].sum() > 0 for part in parts if part not in rare)


def test_what_was_sold_or_made_up_is_what_was_approved():
    sums = cells("card-only-outage").select(pl.col("approved_amount", "cancelled_amount", "sold_amount", "made_up_later_amount").sum()).row(0, named=True)
    assert sums["approved_amount"] - sums["cancelled_amount"] == sums["sold_amount"] + sums["made_up_later_amount"]


@given(seed=st.integers(0, 2**32), failure=st.floats(0, 1), admitted=st.floats(0, 1))
@settings(max_examples=15, deadline=None)
def test_whatever_the_incident_the_topic_holds_what_the_truth_says(seed, failure, admitted):
    smoke = load_scenario("smoke", seed=seed, scale=0.3)
    scenario = smoke.with_(incident=(msgspec.structs.replace(smoke.incident[0], failure_rate=failure, admitted=admitted),))
    found = truth(scenario)
    for suffix in ("", "_amount"):
        sums = {name: found[name + suffix].sum() for name in ("wanted", "sold", "made_up_later", "failed", "unseen")}
        assert sums["wanted"] == sums["sold"] + sums["made_up_later"] + sums["failed"] + sums["unseen"]
    sums = {name: found[name + "_amount"].sum() for name in ("sold", "made_up_later", "approved", "cancelled")}
    assert sums["approved"] - sums["cancelled"] == sums["sold"] + sums["made_up_later"]
    assert found["approved_amount"].sum() == sum(one.tally.approved for one in play(scenario))


def test_a_regional_outage_leaves_the_other_regions_as_they_were():
    of_region = during("regional-outage").join(country(small("regional-outage")).select("market_id", "region"), on="market_id")
    hit = pl.col("region").is_in(["부산광역시", "경상남도"])
    assert share_missing(of_region.filter(hit)) > 0.2
    assert of_region.filter(~hit)["missing"].sum() == 0


def test_a_card_outage_leaves_mobile_as_it_was():
    assert share_missing(during("card-only-outage").filter(channel="card")) > 0.2
    mobile = during("card-only-outage").filter(channel="mobile")
    assert mobile["missing"].sum() < 0  # more than ever: some who hold both switched
    assert mobile.select(((pl.col("wanted") > 0) & (pl.col("sold") == 0)).mean()).item() < 0.02


def test_an_issuers_outage_fails_that_issuer_and_says_so():
    incident = load_scenario("issuer-outage").incident[0]
    start, end = (moment.timestamp() * 1000 for moment in (incident.starts_at, incident.ends_at))
    failures = [e for e in events(small("issuer-outage"), "errors") if e.service == "payment" and start <= e.occurred_at < end]
    hit = [failure for failure in failures if failure.issuer == "한빛카드"]
    assert len(hit) > 0.9 * len(failures)
    assert sum(failure.code == "unavailable" for failure in hit) > 0.9 * len(hit)


def test_announced_maintenance_is_told_before_it_begins_and_nothing_gets_through_it():
    scenario = small("announced-maintenance")
    said = [c for c in commands(scenario) if c.kind == "maintenance_announced"]
    start, end = scenario.incident[0].starts_at, scenario.incident[0].ends_at
    assert [(c.payload["starts_at"], c.payload["ends_at"]) for c in said] == [(start.isoformat(), end.isoformat())]
    assert said[0].occurred_at < start.timestamp() * 1000
    inside = during("announced-maintenance")
    assert inside["wanted"].sum() > 0 == inside["sold"].sum()


def test_flapping_works_in_between():
    by_minute = during("flapping").group_by(pl.col("minute_at").dt.truncate("3m")).agg(pl.col("missing", "ordinary_amount").sum())
    share = by_minute["missing"] / by_minute["ordinary_amount"]
    assert share.quantile(0.9) > 0.3
    assert share.quantile(0.2) < 0.1


def test_the_weekend_fails_unannounced_overnight_and_again_on_monday():
    scenario = load_scenario("launch-weekend", scale=0.05, history_days=1)
    assert scenario.days[1:] == (date(2025, 3, 1), date(2025, 3, 2), date(2025, 3, 3))
    found = truth(scenario)
    monday = scenario.incident[2].starts_at
    assert gross_shortfall(found, monday - timedelta(hours=3), monday) < 0.1 * gross_shortfall(found, monday, monday + timedelta(hours=6))
    night = datetime(2025, 3, 1, 17, tzinfo=UTC).timestamp() * 1000
    codes = [e.code for e in events(scenario, "errors") if e.service == "payment" and night <= e.occurred_at < night + 4 * 3_600_000]
    assert set(codes) == {"maintenance"}
    assert not any(c.payload["label"] == "서버 점검 중" for c in commands(scenario) if c.kind == "maintenance_announced")


def test_the_demand_that_waited_ebbs_over_the_weekend():
    scenario = load_scenario("launch-weekend")
    levels = [national_level(scenario, day) / day_level(day) for day in scenario.days[-3:]]
    assert levels[0] > levels[1] > levels[2] > 1


def test_people_buy_for_the_feast_before_it_and_not_on_it():
    for feast in (date(2025, 1, 29), date(2025, 10, 6), date(2026, 2, 17)):
        assert day_level(feast - timedelta(days=2)) > 1.5
        assert day_level(feast) < 0.5


def test_a_promotion_multiplies_what_is_bought_and_is_told():
    scenario = small("holiday-rush", incident=())
    by_day = truth(scenario).group_by(pl.col("minute_at").dt.offset_by("9h").dt.date().alias("day")).agg(pl.col("wanted").sum()).sort("day")
    before, first = by_day["wanted"][0], by_day["wanted"][1]
    assert first / before == pytest.approx(5.5, rel=0.25)
    assert [c.payload["factor"] for c in commands(scenario) if c.kind == "promotion"] == [5.5]


def test_a_platform_may_send_neither_purchase_nor_attempt():
    scenario = load_scenario("smoke")
    platform = msgspec.structs.replace(scenario.platform, sends_purchase_id=False)
    blind = scenario.with_(platform=platform)
    payments = list(events(blind, "payments"))
    assert all(event.purchase_id is event.attempt is None for event in [*payments, *events(blind, "errors")])
    assert sum(event.amount for event in payments) == sum(event.amount for event in events(scenario, "payments"))
    assert sum(one.tally.approved_after_all for one in play(blind)) == 0 < sum(one.tally.approved_after_all for one in play(scenario))


def test_some_cards_have_no_account_and_some_buyers_come_again_the_same_day():
    payments = [p for p in events(load_scenario("smoke"), "payments") if p.status == "approved"]
    assert {p.channel for p in payments if p.user_id is None} == {"card"}
    assert 0.02 < sum(p.user_id is None for p in payments) / len(payments) < 0.15
    visits = pl.DataFrame({"user": p.user_id, "market": p.market_id, "purchase": p.purchase_id} for p in payments if p.user_id).unique()
    assert (visits.group_by("user", "market").len()["len"] > 1).sum() > 50
