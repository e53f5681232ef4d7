"""From gross to merchants' loss, methods side by side, the course of an incident, concentration: pure figures of the incident's page."""

import re
from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl
import pytest

from dashboard.bars import ladder_chart
from dashboard.figures.concentration import concentration_of
from dashboard.figures.course import course_of, rules_of
from dashboard.figures.incidents import Incident, why_no_net
from dashboard.figures.markets import digits_of, next_market_day
from dashboard.figures.methods import methods_of
from dashboard.figures.rates import PurchaseOutcomes
from dashboard.formatting import SEOUL
from dashboard.remarks import sales_sentence, sentence
from dashboard.report.wording import Wording
from dashboard.texts import texts_in
from dashboard.views.losses import _interval, _value
from warehouse.analysis import AttemptsEstimate, LaunchScenario, LossEstimate, NetEstimate, Remark, Share, net_shortfall, reconcile, reporting_facts
from warehouse.ladder import Scenario, ladder_of
from warehouse.losses import LossAccount
from warehouse.side_by_side import side_by_side
from warehouse.taking_back import TakenBack

NOON = datetime(2025, 3, 1, 12, 0, tzinfo=SEOUL)
SURVEY = Share(0.25, 0.1, 0.5)
CLAIMS = pl.DataFrame({"source": ["신문", "부처"], "amount": [10_000_000_000, 500]})


def loss(expected: float = 2_000, observed: float = 800, half: float = 400) -> LossEstimate:
    lost, empty = expected - observed, pl.DataFrame()
    return LossEstimate(
        expected,
        observed,
        lost,
        lost - half,
        lost + half,
        empty,
        empty,
        empty,
        Remark("method", {"interval": Remark("interval_t", {"windows": 12})}),
        [],
        NOON,
        NOON,
        0.9,
    )


def account(
    lost: float = 600,
    back: float | None = 0.0,
    survey: Share | None = None,
    claims: pl.DataFrame | None = None,
    launch: LaunchScenario | None = None,
    **figures: float,
) -> LossAccount:
    """A loss of 1,200 of which attempts show ``lost``; of these the share ``back`` came back after the end."""
    gross = loss(**figures)
    attempts = AttemptsEstimate(10, 0, lost, lost, lost, None, lost, incomplete=True, unseen=None, warnings=[])
    interval = (gross.lost, gross.low, gross.high)
    made_up = None if back is None else Share(back, back, back)
    net = None if made_up is None else NetEstimate(*net_shortfall(*interval, made_up), made_up, 0.5, [])
    found = reconcile(interval, attempts=attempts, net=(net.value, net.low, net.high) if net else None, substitution=survey, claims=claims)
    return LossAccount(gross, attempts, net, survey, None, found, launch, TakenBack(0, 0.0, 0.0, 0.0, []))


def test_each_step_begins_where_the_one_before_ended() -> None:
    ladder = ladder_of(account(back=0.25, survey=SURVEY), Scenario())
    assert ladder.gross.value == 2_000 - 800
    assert ladder.made_up == 0.25 * 1_200
    assert ladder.net.value == ladder.gross.value - ladder.made_up
    assert ladder.merchants.value == pytest.approx(ladder.net.value * 0.75)
    assert ladder.substituted == pytest.approx(ladder.net.value * 0.25)


def test_the_default_scenario_gives_the_figures_of_the_account() -> None:
    known = account(back=0.25, survey=SURVEY)
    ladder = ladder_of(known, Scenario())
    assert known.net is not None
    assert (ladder.net.value, ladder.net.low, ladder.net.high) == (known.net.value, known.net.low, known.net.high)
    merchants = next(figure for figure in known.reconciliation.figures if figure.method == "merchants_loss")
    assert (ladder.merchants.value, ladder.merchants.low, ladder.merchants.high) == pytest.approx((merchants.value, merchants.low, merchants.high))


def test_without_a_survey_the_merchants_loss_is_a_range_and_no_figure() -> None:
    ladder = ladder_of(account(), Scenario())
    assert ladder.merchants.value is None
    assert (ladder.merchants.low, ladder.merchants.high) == (0.0, ladder.net.high)
    assert ladder.substituted is None


@pytest.mark.parametrize("survey", [None, SURVEY])
def test_without_a_net_there_is_no_figure_below_the_gross_but_a_range(survey: Share | None) -> None:
    known = account(back=None, survey=survey)
    ladder = ladder_of(known, Scenario())
    assert (ladder.back, ladder.made_up, ladder.net.value, ladder.merchants.value, ladder.substituted) == (None, None, None, None, None)
    merchants = next(figure for figure in known.reconciliation.figures if figure.method == "merchants_loss")
    assert (ladder.merchants.low, ladder.merchants.high) == (merchants.low, merchants.high)
    assert ladder.merchants.high == ladder.gross.high


@pytest.mark.parametrize(("back", "survey"), [(None, None), (None, SURVEY), (0.25, None), (0.25, SURVEY)])
def test_the_ladder_draws_no_bar_for_what_is_not_known_and_ranges_to_their_ends(back: float | None, survey: Share | None) -> None:
    texts, ladder = texts_in("ko"), ladder_of(account(back=back, survey=survey), Scenario())
    drawn = {row["step"]: row for row in ladder_chart(ladder, texts).data["ladder"].iter_rows(named=True)}
    assert (texts("ladder.net") in drawn, texts("ladder.made_up") in drawn) == (back is not None, back is not None)
    merchants = ladder.merchants
    assert drawn[texts("ladder.merchants")]["to"] == (merchants.high if merchants.value is None else merchants.value)


def test_twice_the_demand_doubles_what_was_expected_and_not_what_was_paid() -> None:
    ladder = ladder_of(account(), Scenario(demand=2.0))
    assert ladder.expected.value == 4_000
    assert ladder.gross.value == 4_000 - 800
    assert ladder.gross.high - ladder.gross.value == pytest.approx(2 * 400)


def test_unseen_purchases_that_came_back_are_taken_off_the_net() -> None:
    none, half = (ladder_of(account(lost=600), Scenario(unseen_back=share)) for share in (0.0, 0.5))
    assert none.unseen == 1_200 - 600
    assert none.net.value == 1_200
    assert half.net.value == pytest.approx(1_200 - 300)


def test_attempts_without_an_amount_leave_what_nobody_saw_without_a_figure() -> None:
    known = account(back=None)
    unknown = replace(known, attempts=replace(known.attempts, amount=None, lost=None, low=None, never=None))
    assert ladder_of(unknown, Scenario()).unseen is None
    assert ladder_of(unknown, Scenario(unseen_back=0.5)).net == ladder_of(unknown, Scenario()).net


def test_a_window_that_gained_has_no_share_to_take_off() -> None:
    ladder = ladder_of(account(back=0.5, expected=500, observed=800), Scenario())
    assert ladder.gross.value == -300
    assert ladder.made_up == 0
    assert ladder.net == ladder.gross


@pytest.mark.parametrize("survey", [SURVEY, None])
def test_where_more_was_sold_than_expected_ladder_and_methods_tell_one_net(survey: Share | None) -> None:
    known = account(back=0.25, survey=survey, expected=700)
    ladder, told = ladder_of(known, Scenario()), {figure.method: (figure.value, figure.low, figure.high) for figure in side_by_side(known).figures}
    assert told["net"] == (ladder.net.value, ladder.net.low, ladder.net.high) == (-100, -500, 300)
    assert told["merchants_loss"] == (ladder.merchants.value, ladder.merchants.low, ladder.merchants.high)


@pytest.mark.parametrize(
    ("expected", "half", "said", "by_chance"),
    [
        (1_200, 100, "1,200원 가운데 800원이 결제되어 400원이 감소한", False),
        (1_000, 400, "1,000원 가운데 800원이 결제되어 200원이 감소한", True),
        (700, 400, "700원보다 100원 많은 800원이", True),
        (500, 100, "500원보다 300원 많은 800원이", False),
    ],
)
def test_a_fall_is_told_as_one_only_where_the_interval_is_above_nothing(expected: float, half: float, said: str, by_chance: bool) -> None:  # noqa: FBT001
    told = sales_sentence(loss(expected, 800, half), None, texts_in("ko"))
    assert said in told
    assert (texts_in("ko")("incidents.chance") in told) == by_chance


def test_a_range_that_begins_below_nothing_is_drawn_and_told_to_its_lower_end() -> None:
    ladder = ladder_of(account(back=None, expected=700), Scenario())
    drawn = {row["step"]: row for row in ladder_chart(ladder, texts_in("ko")).data["ladder"].iter_rows(named=True)}
    assert drawn["가맹점 매출 손실"]["from"] == ladder.merchants.low == -500
    assert drawn["가맹점 매출 손실"]["amount_text"] == "−500원 ~ 300원"


def test_what_is_assumed_of_the_unseen_makes_no_net_where_nobody_knows_of_those_who_tried() -> None:
    plain, half = (ladder_of(account(lost=600, back=None), scenario) for scenario in (Scenario(), Scenario(unseen_back=0.5)))
    assert half.net.value is None
    assert half.net.high < plain.net.high


def test_a_slider_wins_over_the_survey() -> None:
    assert ladder_of(account(survey=SURVEY), Scenario(substitution=1.0)).merchants.value == 0


def test_sliders_that_nobody_moved_change_no_digit() -> None:
    known = account(back=0.254, survey=Share(0.333, 0.1, 0.5))
    plain = ladder_of(known, Scenario())
    assert ladder_of(known, Scenario.moved(1.0, plain.substitution_percent, plain.back_percent, plain)) == plain
    assert Scenario.moved(2.0, 10.0, 20.0, plain) == Scenario(2.0, 0.1, 0.2)


def test_a_slider_over_a_survey_that_waits_for_a_net_moves_by_what_it_says() -> None:
    known = account(back=None, survey=Share(0.3, 0.2, 0.5))
    plain = ladder_of(known, Scenario())
    assert (plain.substitution_percent, ladder_of(known, Scenario.moved(1.0, 0.0, 0.0, plain)).merchants) == (0, plain.merchants)
    highs = [ladder_of(known, Scenario.moved(1.0, share, 0.0, plain)).merchants.high for share in (29.0, 30.0, 31.0)]
    assert highs == sorted(highs, reverse=True)
    assert highs[0] - highs[1] == pytest.approx(highs[1] - highs[2])


def test_a_slider_at_nothing_is_an_assumption_where_nobody_knows() -> None:
    plain = ladder_of(account(), Scenario())
    assert plain.substitution is None
    assert ladder_of(account(), Scenario.moved(1.0, 0.0, 0.0, plain)).merchants.value == plain.net.value


def test_claims_stand_beside_the_merchants_loss_and_say_whether_they_lie_within_it() -> None:
    found = methods_of(account(claims=CLAIMS), None)
    assert [(method.source, method.within) for method in found if method.about == "claim"] == [("신문", False), ("부처", True)]


def test_failed_purchases_stand_for_themselves_without_an_interval() -> None:
    failed = next(method for method in methods_of(account(lost=600), None) if method.name == "attempts")
    assert (failed.about, failed.value, failed.low, failed.high) == ("attempts", 600, None, None)


@pytest.mark.parametrize("incomplete", [False, True])
def test_failed_purchases_are_not_called_a_bound_of_the_gross(incomplete: bool) -> None:  # noqa: FBT001
    base = account(lost=600)
    attempts = replace(base.attempts, incomplete=incomplete, high=None if incomplete else 600.0)
    gross = (base.gross.lost, base.gross.low, base.gross.high)
    found = replace(base, attempts=attempts, reconciliation=reconcile(gross, attempts=attempts))
    failed = next(method for method in methods_of(found, None) if method.name == "attempts")
    meaning = next(figure.meaning for figure in found.reconciliation.figures if figure.method == "attempts")
    for language in ("ko", "en"):
        texts = texts_in(language)
        said = [texts(f"about.{failed.about}"), texts(f"report_methods.about_{failed.about}"), _value(failed, texts)]
        assert not [one for one in said if re.search("하한|이상|bound|at least", one)]
        neither = {"ko": "하한도 상한도 아", "en": "on neither side"}[language]
        assert neither in sentence(meaning, texts)
        assert [neither in texts(key) for key in ("methods.note", "report_methods.sentence")] == [True, True]
    assert "on neither side" in meaning
    above = Remark("attempts_above", {"amount": 2.0, "high": 1.0})
    assert "another number" in above
    assert [re.search("다른 번호|another number", sentence(above, texts_in(language))) is None for language in ("ko", "en")] == [False, False]


def test_only_an_interval_of_a_probability_is_told_as_one_and_the_others_as_ranges() -> None:
    base = account(lost=600, back=0.25)
    attempts = replace(base.attempts, incomplete=False, low=400.0, high=600.0)
    assert base.net is not None
    gross, net = (base.gross.lost, base.gross.low, base.gross.high), (base.net.value, base.net.low, base.net.high)
    for survey, merchants in ((None, True), (SURVEY, False)):
        found = methods_of(replace(base, attempts=attempts, reconciliation=reconcile(gross, attempts=attempts, net=net, substitution=survey)), None)
        ranges = {method.name: method.ranged for method in found}
        assert ranges == {"counterfactual": False, "attempts": True, "unseen": True, "net": False, "merchants_loss": merchants}
        for language, word in (("ko", "(범위)"), ("en", "(range)")):
            texts = texts_in(language)
            assert {method.name: _interval(method, texts).endswith(word) for method in found} == ranges
            assert {method.name: Wording(texts).ends(method.low, method.high, ranged=method.ranged).endswith(word) for method in found} == ranges
            assert not [key for key in ("table.ends", "report_column.ends") if "90" in texts(key)]


@pytest.mark.parametrize(("after", "name"), [(30, "padded"), (20, "padded_part"), (0, "padded_before")])
def test_the_padded_window_stands_beside_the_estimate_and_says_how_far_it_reaches(after: int, name: str) -> None:
    padded = replace(loss(expected=2_100), start=NOON - timedelta(minutes=30), end=NOON + timedelta(minutes=after))
    assert [method.name for method in methods_of(account(), padded)][:2] == ["counterfactual", name]


@pytest.mark.parametrize(
    ("back", "ended", "known_for", "with_id", "owed", "why"),
    [
        (None, False, 0, 4_000, 4_000, "open"),
        (None, True, 59, 4_000, 4_000, "soon"),
        (None, True, 60, 0, 0, "nameless"),
        (None, True, 60, 4_000, 29, "few"),
        (None, True, 60, 30, 30, "no_amounts"),
        (0.25, True, 60, 4_000, 4_000, None),
    ],
)
def test_it_is_said_why_nobody_knows_what_was_made_up_later(
    back: float | None,
    ended: bool,  # noqa: FBT001
    known_for: int,
    with_id: int,
    owed: int,
    why: str | None,
) -> None:
    incident = Incident("i1", "failure_rate", "nation", "", NOON, None, None, NOON if ended else None, None, None)
    assert why_no_net(account(back=back), incident, NOON, NOON + timedelta(minutes=known_for), with_id, owed) == why


def test_where_no_purchase_failed_none_is_said_to_lack_its_number() -> None:
    known = account(back=None)
    none = replace(known, attempts=replace(known.attempts, purchases=0))
    incident = Incident("i1", "failure_rate", "nation", "", NOON, None, None, NOON, None, None)
    assert why_no_net(none, incident, NOON, NOON + timedelta(hours=1), 0, 0) == "few"


def test_the_course_is_in_order_of_time_and_a_notice_that_nobody_gave_stands_last() -> None:
    minutes = [timedelta(minutes=minute) for minute in range(0, 40, 10)]
    steps = pl.DataFrame({"at": [NOON + span for span in minutes], "inside": [True, True, True, False], "failure_rate": [0.2, None, 0.6, 0.9]})
    notices = pl.DataFrame({"announced_at": [NOON + timedelta(minutes=15), NOON - timedelta(days=1)]})
    told = course_of(NOON, NOON + minutes[1], NOON + minutes[3], None, notices, steps)
    assert [step.what for step in told] == ["onset", "detection", "notice", "peak", "last_seen"]
    assert told[3].at == NOON + minutes[2]
    untold = course_of(NOON, NOON + minutes[1], None, NOON + minutes[3], notices.clear(), steps)
    assert [(step.what, step.at) for step in untold][-1] == ("notice", None)


def test_where_nothing_failed_no_moment_is_said_to_be_the_worst() -> None:
    steps = pl.DataFrame({"at": [NOON, NOON + timedelta(minutes=10)], "inside": [True, True], "failure_rate": [0.0, 0.0]})
    told = course_of(NOON, None, None, NOON + timedelta(minutes=20), pl.DataFrame(schema={"announced_at": pl.Datetime("us", "Asia/Seoul")}), steps)
    assert [step.what for step in told] == ["onset", "end", "notice"]


@pytest.mark.parametrize(
    ("minutes", "exceeded"), [(9, [False, False, False]), (10, [True, False, False]), (30, [True, True, False]), (181, [True, True, True])]
)
def test_rules_count_from_the_onset_as_those_of_alerts_do(minutes: int, exceeded: list[bool]) -> None:
    until = NOON + timedelta(minutes=minutes)
    for ended in (until, None):
        rules, facts = rules_of(NOON, ended, until), reporting_facts(NOON, ended, until, subscribers=10_000)
        assert [rule.exceeded for rule in rules] == exceeded
        assert rules[0].exceeded is facts.reportable


def test_concentration_leaves_out_markets_that_gained() -> None:
    found = concentration_of(pl.Series([60.0, 20.0, 20.0, -500.0]), 1.0)
    assert found is not None
    assert (found.hit, found.half, found.largest) == (3, 1, 1.0)
    assert concentration_of(pl.Series([-1.0, 0.0]), 1.0) is None
    assert concentration_of(pl.Series([60.0, 20.0, -500.0]), 0.0) is None


def test_a_purchase_counts_once_however_often_it_was_tried() -> None:
    outcomes = PurchaseOutcomes(approved=90, failed_first=30, recovered=20)
    assert outcomes.purchases == 100
    assert outcomes.first_failure == 0.3
    assert outcomes.final_failure == 0.1


def test_market_days_follow_the_last_digits_of_the_day() -> None:
    assert digits_of("2,7") == (2, 7)
    assert next_market_day("2,7", datetime(2025, 3, 1).date()) == datetime(2025, 3, 2).date()
    assert next_market_day("5,0", datetime(2025, 2, 26).date()) == datetime(2025, 3, 5).date()
    assert next_market_day(None, NOON.date()) is None


LAUNCHED = LaunchScenario(
    1_000, 800, pl.DataFrame(), 400, 3_200, 0.5, 4.0, None, Remark("launch", {"days": 14}), [Remark("launch_few_days", {"days": 4})], 0.9, 0.1
)


def test_a_launch_comes_first_as_a_range_without_a_figure() -> None:
    first, second, *_ = methods_of(account(launch=LAUNCHED), None)
    assert (first.name, first.value, first.low, first.high) == ("launch", None, 400, 3_200)
    assert first.remarks == LAUNCHED.warnings
    for language, said, only in (("ko", "범위", "구간만"), ("en", "range", "interval only")):
        texts = texts_in(language)
        assert said not in _interval(first, texts)
        assert _value(first, texts) == Wording(texts).ends_only(ranged=first.ranged).text == only
    assert (second.name, second.value) == ("as_before", 1_200)


def test_on_a_launch_every_step_follows_from_the_range_and_has_no_value() -> None:
    known = account(back=0.25, survey=SURVEY, launch=LAUNCHED)
    ladder = ladder_of(known, Scenario())
    assert (ladder.expected.value, ladder.expected.low, ladder.expected.high) == (None, 400 + 800, 3_200 + 800)
    assert (ladder.gross.value, ladder.gross.low, ladder.gross.high) == (None, 400, 3_200)
    assert (ladder.net.value, ladder.net.low, ladder.net.high) == (None, 400 * 0.75, 3_200 * 0.75)
    assert (ladder.merchants.value, ladder.merchants.low, ladder.merchants.high) == (None, 400 * 0.75 * 0.5, 3_200 * 0.75 * 0.9)
    beside = {method.name: (method.value, method.low, method.high) for method in methods_of(known, None)}
    assert beside["net"] == (None, ladder.net.low, ladder.net.high)
    assert beside["merchants_loss"] == (None, ladder.merchants.low, ladder.merchants.high)


@pytest.mark.parametrize("survey", [None, SURVEY])
def test_what_follows_from_a_launch_s_range_is_told_as_a_range_and_no_interval(survey: Share | None) -> None:
    known = account(back=0.25, survey=survey, launch=LAUNCHED)
    ladder = ladder_of(known, Scenario())
    assert (ladder.gross.ranged, ladder.net.ranged, ladder.merchants.ranged) == (False, True, True)
    ranges = {method.name: method.ranged for method in methods_of(known, None)}
    assert (ranges["launch"], ranges["as_before"], ranges["net"], ranges["merchants_loss"]) == (False, False, True, True)
    assumed = ladder_of(known, Scenario(demand=2.0))
    assert (assumed.net.ranged, assumed.merchants.ranged) == (False, survey is None)


def test_a_demand_that_is_assumed_of_a_launch_is_over_an_ordinary_day_s_and_gives_a_figure() -> None:
    ladder = ladder_of(account(launch=LAUNCHED), Scenario(demand=2.0))
    assert (ladder.gross.value, ladder.gross.low, ladder.gross.high) == LAUNCHED.at(2.0)
    assert ladder.expected.value == 2_000


def test_a_claim_about_a_launch_is_held_against_the_range() -> None:
    known = account(claims=pl.DataFrame({"source": ["안", "위"], "amount": [3_000, 4_000]}), launch=LAUNCHED)
    assert [(method.source, method.within) for method in methods_of(known, None) if method.about == "claim"] == [("안", True), ("위", False)]
    assert [(remark.code, remark.values["source"]) for remark in side_by_side(known).disagreements] == [("claim_above", "위")]


@pytest.mark.parametrize("back", [None, 0.25])
def test_the_ladder_of_a_launch_draws_ranges_to_their_ends(back: float | None) -> None:
    texts, ladder = texts_in("ko"), ladder_of(account(back=back, launch=LAUNCHED), Scenario())
    drawn = {row["step"]: (row["from"], row["to"]) for row in ladder_chart(ladder, texts).data["ladder"].iter_rows(named=True)}
    assert drawn[texts("ladder.gross")] == (400, 3_200)
    assert (texts("ladder.net") in drawn) == (back is not None)
    assert drawn[texts("ladder.merchants")] == (0, ladder.merchants.high)


@pytest.mark.parametrize(("scope", "known"), [("nation", True), ("market", True), ("issuer", False), ("service", False)])
def test_an_incident_of_an_issuer_or_a_service_has_no_sales_of_its_own(scope: str, known: bool) -> None:  # noqa: FBT001
    incident = Incident("i1", "failure_rate", scope, "", NOON, None, None, None, None, None)
    assert incident.sales_known is known
