"""What buyers do when they cannot pay: split, walk, come back days later; and what the network takes back by itself."""

from collections import Counter
from datetime import timedelta
from functools import cache

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.events import CONTRACT
from streams.simulator import Scenario, country, load_scenario, play, truth
from streams.simulator.days import Day, played
from streams.simulator.neighbours import WALKING_KM, nearest
from streams.simulator.outcomes import FAILED
from streams.simulator.second_world import second_world

WHOLES = {
    "wanted": ["sold", "made_up_later", "lost"],
    "made_up_later": ["tried_again", "switched_channel", "switched_market", "came_back_days_later"],
    "lost": ["failed", "unseen"],
}
ALSO_LOST = ["paid_paper", "paid_card", "paid_cash", "lost_for_good"]


def world(scenario: Scenario, **changes: float) -> Scenario:
    return scenario.with_(world=msgspec.to_builtins(msgspec.structs.replace(scenario.world, **changes)))


def outage(**changes: float) -> Scenario:
    """Five days, of which the second and third have an outage of 23 hours."""
    return world(load_scenario("23-hour-outage", scale=0.05, history_days=4), **changes)


@cache
def days(**changes: float) -> list[Day]:
    scenario = outage(**changes)
    return list(played(scenario, country(scenario)))


def check_conservation(scenario: Scenario) -> pl.DataFrame:
    """Hold every whole against its parts in every cell, and the topic against the truth in every market, channel and minute."""
    cells = truth(scenario)
    for suffix in ("", "_amount"):
        for whole, parts in [*WHOLES.items(), ("lost", ALSO_LOST)]:
            wrong = cells.filter(pl.col(whole + suffix) != pl.sum_horizontal(pl.col(part + suffix) for part in parts))
            assert wrong.is_empty(), (whole, wrong)
    assert cells.select(pl.col("wanted", "sold", "made_up_later", "lost", "failed", "unseen", "lost_amount", *ALSO_LOST).min()).row(0) >= (0,) * 11
    assert cells["approved_amount"].sum() - cells["cancelled_amount"].sum() == cells["sold_amount"].sum() + cells["made_up_later_amount"].sum()
    sent: Counter[tuple] = Counter()
    taken_back: Counter[str] = Counter()
    for one in play(scenario):
        for value in one.records["payments"].values if "payments" in one.records else ():
            payment = msgspec.json.decode(value, type=CONTRACT["payments"], strict=True)
            if payment.status == "approved":
                sent[payment.market_id, payment.channel, payment.occurred_at // 60_000] += payment.amount
            elif payment.status == "reversed":
                taken_back["reversed"] += payment.amount
    approved = cells.filter(pl.col("approved") > 0).select("market_id", "channel", pl.col("minute_at").dt.epoch("ms") // 60_000, "approved_amount")
    assert dict(sent) == {row[:3]: row[3] for row in approved.iter_rows()}
    assert taken_back["reversed"] >= cells["cancelled_amount"].sum()
    return cells


@given(seed=st.integers(0, 2**32))
@settings(max_examples=6, deadline=None)
def test_every_cell_is_conserved_whatever_people_choose(seed):
    rng = np.random.default_rng(seed)
    names = ("patience", "comes_back", "switches_channel", "splits", "switches_market", "days_later")
    drawn = {name: float(rng.uniform(0, 0.5)) for name in names}
    check_conservation(world(load_scenario("23-hour-outage", seed=seed, scale=0.02, history_days=4), **drawn))


@pytest.mark.parametrize("name", ["launch-weekend", "holiday-rush"])
def test_every_cell_is_conserved_where_load_makes_the_failures(name):
    cells = check_conservation(load_scenario(name, scale=0.02, history_days=2 if name == "holiday-rush" else 0))
    sums = cells.sum()
    assert min(sums[part].item() for part in ("switched_channel", "switched_market", "paid_in_parts", "unseen", "cancelled", *ALSO_LOST)) > 0


@pytest.mark.parametrize("seed", [4, 5])
def test_every_cell_is_conserved_in_a_second_world(seed):
    check_conservation(second_world(load_scenario("launch-weekend", scale=0.02, history_days=0), seed))


def test_who_lost_a_purchase_may_come_back_days_later_and_is_told_where_he_lost_it():
    scenario = outage(days_later=0.8)
    cells, without = truth(scenario), truth(outage(days_later=0.0))
    later = cells.filter(pl.col("came_back_days_later") > 0)
    start, end = (moment.replace(tzinfo=None) - timedelta(hours=9) for moment in (scenario.incident[0].starts_at, scenario.incident[0].ends_at))
    assert later["came_back_days_later"].sum() > 50
    # Only what the incident lost, in the minutes in which it was lost, and nothing else changes.
    assert later["minute_at"].min() >= start - timedelta(minutes=1)
    assert later["minute_at"].max() < end
    assert cells["wanted"].sum() == without["wanted"].sum()
    assert without["lost"].sum() - cells["lost"].sum() == cells["came_back_days_later"].sum()
    assert without["came_back_days_later"].sum() == 0


def test_who_comes_back_days_later_buys_then_and_pays_as_anybody_does():
    day = next(day for day in days(days_later=0.8) if day.returning is not None and len(day.returning) > 30 and not day.disturbed)
    assert day.returning is not None
    assert (day.returning.midnight < day.midnight).all()
    bought = day.actual.bought(len(day.wanted))[day.own :]
    assert (bought > 0).mean() > 0.9
    assert (day.undisturbed.purchase < day.own).all()


def test_a_split_purchase_is_paid_in_two_checkouts_that_add_up_to_it():
    day = days(splits=0.6)[1]
    actual, wanted = day.actual, day.wanted.amount
    parts = actual.where(np.flatnonzero(actual.stands & (actual.amount < wanted[actual.purchase])))
    twice = np.flatnonzero(np.bincount(parts.purchase) == 2)
    assert len(twice) > 20
    paid = actual.bought(len(wanted))
    assert (paid[twice] == wanted[twice]).all()
    assert (paid <= wanted).all()


def test_the_platform_knows_a_split_or_moved_purchase_as_a_new_one():
    scenario = outage(splits=0.5, switches_market=0.4)
    markets: dict[str, set[str]] = {}
    amounts: dict[str, set[int]] = {}
    for one in play(scenario):
        for value in one.records["errors"].values if "errors" in one.records else ():
            error = msgspec.json.decode(value, type=CONTRACT["errors"], strict=True)
            if error.service == "payment":
                markets.setdefault(error.purchase_id, set()).add(error.market_id)
                amounts.setdefault(error.purchase_id, set()).add(error.amount)
    assert max(map(len, markets.values())) == max(map(len, amounts.values())) == 1


def test_who_walks_goes_to_the_nearest_market_and_arrives_later():
    day, markets = days(switches_market=0.6, splits=0.0)[1], country(outage())
    moved = np.flatnonzero((day.actual.market != day.wanted.market[day.actual.purchase]) & (day.actual.leg == 1))
    assert len(moved) > 100
    neighbour = markets["neighbour"].to_numpy()
    assert (day.actual.market[moved] == neighbour[day.wanted.market[day.actual.purchase[moved]]]).all()
    assert (day.actual.came_at[moved] - day.wanted.wanted_at[day.actual.purchase[moved]]).min() > 3 * 60_000


def test_neighbours_are_the_nearest_ones_within_a_walk_and_unknown_places_have_none():
    markets = pl.DataFrame({"latitude": [37.50, 37.51, 37.53, 36.00, None], "longitude": [127.0, 127.0, 127.0, 127.0, None]})
    assert nearest(markets).tolist() == [1, 0, 1, -1, -1]
    ours = country(load_scenario("launch-day"))
    place, near = ours.select("latitude", "longitude").to_numpy(), ours["neighbour"].to_numpy()
    has = near >= 0
    assert has.mean() > 0.9
    assert np.hypot(*((place[has] - place[near[has]]) * [111, 88]).T).max() < WALKING_KM * 1.1


def test_timeouts_that_are_approved_late_are_taken_back_by_the_network_and_the_buyer_tries_again():
    scenario = load_scenario("slow-degradation", history_days=2, scale=0.3)
    payments = [
        msgspec.json.decode(value, type=CONTRACT["payments"], strict=True)
        for one in play(scenario)
        for value in (one.records["payments"].values if "payments" in one.records else ())
    ]
    approved = {p.event_id: p for p in payments if p.status == "approved"}
    bought = Counter(p.purchase_id for p in approved.values())
    automatic = [p for p in payments if p.status == "reversed" and bought[p.purchase_id] > 1]
    assert len(automatic) > 5
    for reversal in automatic:
        first = approved[reversal.reverses]
        assert (reversal.amount, reversal.attempt) == (first.amount, first.attempt)
        assert 5_000 <= reversal.occurred_at - first.occurred_at <= 60_000


def test_with_and_without_people_who_come_back_the_other_purchases_have_the_same_luck():
    back, away = days(days_later=0.8), days(days_later=0.0)
    for one, other in zip(back, away, strict=True):
        own = one.actual.where(np.flatnonzero(one.actual.purchase < one.own))
        order = np.lexsort((own.purchase, own.number))
        assert own.outcome[order].tolist() == other.actual.outcome.tolist()
        assert (own.outcome == FAILED).sum() == (other.actual.outcome == FAILED).sum()
