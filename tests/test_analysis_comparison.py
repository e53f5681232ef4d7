"""Spans compared, what the public is told, and the gate of a launch, on made data."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from warehouse.analysis import AnalysisError
from warehouse.analysis.comparison import Span, compare
from warehouse.analysis.gate import EXAMPLE, judged, read_gate
from warehouse.analysis.resampling import Cells, away_of, median_of, rate_of
from warehouse.analysis.span_days import days_of, laid_out
from warehouse.analysis.status import downtimes, overall

KST = timedelta(hours=9)
FIRST, SECOND = datetime(2025, 4, 7, tzinfo=UTC) - KST, datetime(2025, 5, 5, tzinfo=UTC) - KST
INCIDENT = {"incident_id": "i", "kind": "failure_rate", "scope": "nation", "scope_name": "", "peak_failure_rate": 0.5, "merged_into": None}
NOTHING = pl.DataFrame(
    schema={
        "incident_id": pl.String,
        "kind": pl.String,
        "scope": pl.String,
        "scope_name": pl.String,
        "onset_at": pl.Datetime,
        "detected_at": pl.Datetime,
        "ended_at": pl.Datetime,
        "peak_failure_rate": pl.Float64,
        "merged_into": pl.String,
    }
)
NO_WORK = pl.DataFrame(schema={"label": pl.String, "service": pl.String, "starts_at": pl.Datetime, "ends_at": pl.Datetime, "announced_at": pl.Datetime})


def naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def minutes(
    start: datetime, days: int, busy: int, *, quiet: tuple[int, float] = (100, 0.01), heavy: tuple[int, float] = (400, 0.05), seed: int = 0
) -> pl.DataFrame:
    """Days of two kinds of minutes: of each day ``busy`` hours are heavy, the rest quiet; each kind has its load and failure rate."""
    rng = np.random.default_rng(seed)
    at = pl.datetime_range(naive(start), naive(start) + timedelta(days=days), "1m", closed="left", eager=True)
    laden = (np.arange(len(at)) % 1440) < busy * 60
    load, rate = (np.where(laden, heavy[n], quiet[n]) for n in (0, 1))
    attempts = load.astype(np.int64)
    return pl.DataFrame({"minute_at": at, "attempts": attempts, "failed": rng.binomial(attempts, rate), "sales": attempts * 25_000})


def span(name: str, start: datetime, days: int, frame: pl.DataFrame, **more: object) -> Span:
    given = {
        "incidents": NOTHING,
        "maintenance": NO_WORK,
        "purchases": pl.DataFrame(schema={"first_failure_at": pl.Datetime, "recovered_at": pl.Datetime}),
        "waits": pl.DataFrame(schema={"minute_at": pl.Datetime, "attempts": pl.Int64, "wait_ms_p95": pl.Int64}),
        "notices": [],
        **more,
    }
    return Span(name, start, start + timedelta(days=days), frame, **given)  # type: ignore[arg-type]


def test_kinds_of_day_that_are_rare_do_not_pull_the_rate_towards_nothing() -> None:
    # two weeks of three kinds of day, of which every attempt fails at exactly 2 %
    kinds = np.array([0, 0, 0, 0, 0, 1, 2] * 2)
    attempts = np.zeros((14, 3))
    attempts[np.arange(14), kinds] = 100_000
    none = np.zeros((0, 3))
    for weights in ([10.0, 2.0, 2.0], [0.0, 0.0, 1.0]):
        found, draws = rate_of(Cells(attempts, attempts * 0.02, none, none, np.array(weights)), None, np.random.default_rng(0))
        assert found.value == pytest.approx(0.02)
        assert 0.018 < found.low < 0.02 < found.high < 0.0225
        assert draws.mean() == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("median", [20, 60, 180])
@pytest.mark.parametrize(("days", "a_day"), [(3, 0.3), (7, 0.2), (14, 0.15), (28, 0.15)])
def test_nine_of_ten_intervals_hold_what_rare_incidents_of_all_lengths_cost(days: int, a_day: float, median: int) -> None:
    rng, worlds = np.random.default_rng(days), 200
    long = np.minimum(median * np.exp(0.8 * rng.normal(size=100_000)), 400)
    away = a_day * long.mean() / 1440
    held = np.zeros(2)
    for _ in range(worlds):
        struck = rng.choice(long, rng.poisson(a_day * days))
        tried = np.full((days, 1), 200 * (1440 - struck.sum() / days))
        cells = Cells(tried, rng.binomial(tried.astype(int), 0.01).astype(float), 200 * struck[:, None], 100 * struck[:, None], np.ones(1))
        minutes = days * 1440.0
        found = away_of(struck, minutes, minutes, days, rng)[0], rate_of(cells, minutes, rng)[0]
        held += [one.low <= true <= one.high for one, true in zip(found, (away, 0.01 + 0.49 * away), strict=True)]
        assert all(one.high > one.low for one in found)
    print(f"{days} days, {a_day} incidents a day of {median} minutes: availability held {held[0] / worlds:.0%}, failure rate {held[1] / worlds:.0%}")
    # 0.86 is two standard errors below 0.9
    assert held.min() / worlds >= 0.86


@pytest.mark.parametrize("count", [5, 6, 9, 20])
def test_nine_of_ten_intervals_hold_the_median_and_fewer_than_five_times_have_none(count: int) -> None:
    rng = np.random.default_rng(count)
    worlds = [median_of(list(rng.lognormal(4, 0.8, count)), rng) for _ in range(400)]
    assert sum(found.low <= np.exp(4) <= found.high for found, _ in worlds) >= 0.87 * len(worlds)
    found, draws = worlds[0]
    assert found.low <= np.quantile(draws, 0.1) < found.value < np.quantile(draws, 0.9) <= found.high
    few, none = median_of([10.0, 20.0, 30.0, 80.0], rng)
    assert (few.value, few.low, few.why, len(none)) == (25.0, None, "few_incidents", 0)


def test_after_a_quiet_week_an_outage_is_possible_still() -> None:
    quiet = minutes(FIRST, 7, busy=4).with_columns(failed=pl.lit(0))
    found = compare(span("a", FIRST, 7, quiet), span("b", SECOND, 7, minutes(SECOND, 7, busy=4)))
    for measure in ("availability_unplanned", "availability_demand"):
        of = row(found, measure)
        assert (of["first"], of["first_high"]) == (1, 1)
        assert 0.9 < of["first_low"] < 0.99
        assert of["low"] < 0 < of["high"]
    failed = row(found, "failure_rate")
    assert failed["first"] == failed["first_low"] == 0 < failed["first_high"] < 0.05


def test_incidents_that_overlap_or_pass_midnight_are_one() -> None:
    begins = naive(FIRST) + timedelta(hours=23)
    rows = [
        {**INCIDENT, "onset_at": begins + timedelta(minutes=later), "detected_at": begins, "ended_at": begins + timedelta(minutes=later + 100)}
        for later in (0, 50, 1_000)
    ]
    laid = laid_out(span("a", FIRST, 3, minutes(FIRST, 3, busy=0), incidents=pl.DataFrame(rows, schema=NOTHING.schema)))
    days = days_of(laid, np.full(24, 2.0))
    assert days.struck[:3].tolist() == [[150, 100], [300, 200], [15_000, 10_000]]
    assert days.attempts.sum() + days.struck[2].sum() == 3 * 1440 * 100


def row(found, measure: str) -> dict[str, object]:
    return found.table.filter(pl.col("measure") == measure).row(0, named=True)


def test_an_operator_with_more_load_is_not_worse_for_it():
    found = compare(span("a", FIRST, 28, minutes(FIRST, 28, busy=2)), span("b", SECOND, 28, minutes(SECOND, 28, busy=12, seed=1)))
    crude, alike = row(found, "failure_rate"), row(found, "failure_rate_alike")
    assert crude["low"] > 0.01
    assert alike["low"] <= 0 <= alike["high"]
    assert alike["difference"] == pytest.approx(0, abs=0.001)
    assert found.covered == (1.0, 1.0)


def test_a_real_difference_shows_like_for_like():
    better = minutes(SECOND, 14, busy=12, quiet=(100, 0.005), heavy=(400, 0.02), seed=1)
    alike = row(compare(span("a", FIRST, 14, minutes(FIRST, 14, busy=2)), span("b", SECOND, 14, better)), "failure_rate_alike")
    assert alike["high"] < 0


def test_loads_that_only_one_span_has_seen_are_in_no_comparison():
    found = compare(span("a", FIRST, 14, minutes(FIRST, 14, busy=0)), span("b", SECOND, 14, minutes(SECOND, 14, busy=24)))
    assert found.covered == (0.0, 0.0)
    assert row(found, "failure_rate_alike")["why"] == "nothing_alike"


def test_two_days_give_figures_but_no_interval_and_no_difference():
    found = row(compare(span("a", FIRST, 14, minutes(FIRST, 14, busy=2)), span("b", SECOND, 2, minutes(SECOND, 2, busy=2))), "failure_rate")
    assert (found["second_low"], found["low"], found["difference"], found["why"]) == (None, None, None, "few_days")
    assert found["second"] > 0


def test_an_outage_at_the_busiest_hour_weighs_more_than_its_minutes():
    def struck(hour: int) -> pl.DataFrame:
        onset = naive(FIRST + timedelta(days=3, hours=hour))
        return pl.DataFrame(
            [{**INCIDENT, "onset_at": onset, "detected_at": onset + timedelta(minutes=5), "ended_at": onset + timedelta(hours=2)}], schema=NOTHING.schema
        )

    other = span("b", SECOND, 14, minutes(SECOND, 14, busy=4))
    busy, idle = (compare(span("a", FIRST, 14, minutes(FIRST, 14, busy=4), incidents=struck(hour)), other) for hour in (1, 20))
    assert row(busy, "availability_unplanned")["first"] == row(idle, "availability_unplanned")["first"] == pytest.approx(1 - 2 / (14 * 24))
    assert row(busy, "availability_demand")["first"] < row(idle, "availability_demand")["first"] < 1


def test_a_day_on_which_nobody_could_even_try_counts_against_every_availability():
    onset = naive(FIRST + timedelta(days=3))
    out = pl.DataFrame([{**INCIDENT, "onset_at": onset, "detected_at": onset, "ended_at": onset + timedelta(days=1)}], schema=NOTHING.schema)
    silent = minutes(FIRST, 6, busy=4).filter(~pl.col("minute_at").is_between(onset, onset + timedelta(days=1), closed="left"))
    found = compare(span("a", FIRST, 6, silent, incidents=out), span("b", SECOND, 14, minutes(SECOND, 14, busy=4)))
    for measure in ("availability_total", "availability_unplanned", "availability_demand"):
        assert row(found, measure)["first"] == pytest.approx(5 / 6)
    assert row(found, "failure_rate_alike")["low"] is not None


def test_announced_maintenance_counts_against_one_availability_and_not_the_other():
    begin = naive(FIRST + timedelta(days=2))
    work = pl.DataFrame([("w", None, begin, begin + timedelta(days=1), begin - timedelta(days=5))], schema=NO_WORK.schema, orient="row")
    found = compare(span("a", FIRST, 14, minutes(FIRST, 14, busy=4), maintenance=work, planned_cost=7e6), span("b", SECOND, 14, minutes(SECOND, 14, busy=4)))
    assert row(found, "availability_total")["first"] == pytest.approx(13 / 14)
    assert row(found, "availability_unplanned")["first"] == 1
    assert (row(found, "planned_cost")["first"], row(found, "planned_cost")["why"]) == (7e6, "not_estimated")


def test_times_to_detect_recover_and_tell_are_those_of_the_incidents():
    onsets = [naive(FIRST + timedelta(days=day, hours=10)) for day in (1, 3, 5, 7, 9)]
    rows = [{**INCIDENT, "onset_at": at, "detected_at": at + timedelta(minutes=3 + n), "ended_at": at + timedelta(minutes=60)} for n, at in enumerate(onsets)]
    bought = pl.DataFrame({"first_failure_at": onsets * 2, "recovered_at": [None] * 5 + [at + timedelta(minutes=9) for at in onsets]})
    waits = pl.DataFrame({"minute_at": onsets[:3], "attempts": [10, 10, 80], "wait_ms_p95": [0, 0, 10_000]})
    told = [at + timedelta(minutes=30) for at in onsets]
    one = span(
        "a", FIRST, 14, minutes(FIRST, 14, busy=4), incidents=pl.DataFrame(rows, schema=NOTHING.schema), purchases=bought, waits=waits, notices=told, lost=3.5e8
    )
    found = compare(one, span("b", SECOND, 14, minutes(SECOND, 14, busy=4)))
    values = {name: row(found, name)["first"] for name in ("detect_minutes", "recover_minutes", "notice_minutes", "never_succeeded", "wait_p95")}
    assert values == {"detect_minutes": 5, "recover_minutes": 60, "notice_minutes": 30, "never_succeeded": 0.5, "wait_p95": 8}
    assert row(found, "recover_minutes")["why"] == "no_incidents"
    total = minutes(FIRST, 14, busy=4)["sales"].sum()
    assert row(found, "loss_per_million")["first"] == pytest.approx(3.5e8 / (total + 3.5e8) * 1e6)


def test_an_incident_of_a_part_is_in_no_figure_of_the_nation():
    at = naive(FIRST + timedelta(days=1, hours=10))
    rows = [{**INCIDENT, "scope": "region", "scope_name": "부산광역시", "onset_at": at, "detected_at": at, "ended_at": at + timedelta(minutes=41)}]
    one = span("a", FIRST, 14, minutes(FIRST, 14, busy=4), incidents=pl.DataFrame(rows, schema=NOTHING.schema), notices=[at])
    found = compare(one, span("b", SECOND, 14, minutes(SECOND, 14, busy=4)))
    assert [row(found, name)["first"] for name in ("incidents", "incident_minutes", "availability_total")] == [0, 0, 1]
    assert [row(found, name)["first"] for name in ("detect_minutes", "notice_minutes", "recover_minutes")] == [None, None, None]
    assert row(found, "recover_minutes")["why"] == "no_incidents"


def test_a_span_of_no_length_has_no_figures():
    found = compare(span("a", FIRST, 14, minutes(FIRST, 14, busy=2)), span("b", SECOND, 0, minutes(SECOND, 1, busy=2).clear()))
    assert found.table["second"].null_count() == len(found.table)
    assert "" not in set(found.table["why"])


def test_spans_that_overlap_or_run_backwards_are_refused():
    one = span("a", FIRST, 14, minutes(FIRST, 14, busy=2))
    with pytest.raises(AnalysisError, match=r"do not overlap, got a from 2025-04-07 00:00 to 2025-04-21 00:00 and b from 2025-04-20 00:00 to 2025-05-04 00:00"):
        compare(one, span("b", FIRST + timedelta(days=13), 14, minutes(SECOND, 14, busy=2)))
    with pytest.raises(AnalysisError, match="end after the start"):
        compare(one, span("b", SECOND, -1, minutes(SECOND, 1, busy=2)))


def feed(incidents: list[dict[str, object]], work: list[tuple[object, ...]] = (), now: datetime = SECOND) -> pl.DataFrame:
    return downtimes(pl.DataFrame(incidents, schema=NOTHING.schema), pl.DataFrame(list(work), schema=NO_WORK.schema, orient="row"), now)


def test_the_feed_tells_what_goes_on_first_and_in_which_part():
    at = naive(SECOND - timedelta(hours=2))
    found = feed(
        [
            {**INCIDENT, "incident_id": "old", "onset_at": at - timedelta(days=3), "ended_at": at - timedelta(days=2)},
            {**INCIDENT, "incident_id": "gone", "onset_at": at - timedelta(days=60), "ended_at": at - timedelta(days=59)},
            {**INCIDENT, "incident_id": "here", "scope": "region", "scope_name": "대구광역시", "onset_at": at, "ended_at": None},
            {**INCIDENT, "incident_id": "login", "scope": "service", "scope_name": "login", "onset_at": at, "ended_at": None},
        ]
    )
    assert found["id"].to_list() == ["here", "login", "old"]
    assert found.select("service", "region", "severity", "status").rows()[0] == ("payment", "대구광역시", "minor", "ongoing")
    assert found["service"][1] == "login"
    assert found["begin"][0] == at + KST
    assert overall(found) == "disturbed"


@pytest.mark.parametrize(("rate", "state"), [(0.5, "down"), (0.1, "disturbed")])
def test_the_nation_failing_is_down_where_much_fails(rate, state):
    at = naive(SECOND - timedelta(hours=2))
    assert overall(feed([{**INCIDENT, "peak_failure_rate": rate, "onset_at": at, "ended_at": None}])) == state


def test_maintenance_is_planned_only_if_it_was_announced_before():
    at = naive(SECOND)
    planned = ("보안 점검 (내부 메모)", "login", at + timedelta(days=1), at + timedelta(days=1, hours=2), at - timedelta(days=1))
    excuse = ("x", None, at - timedelta(hours=2), at + timedelta(hours=2), at - timedelta(hours=1))
    running = ("y", None, at - timedelta(hours=1), at + timedelta(hours=1), at - timedelta(days=2))
    found = feed([], [planned, excuse, running])
    assert found["status"].to_list() == ["in_progress", "scheduled"]
    assert found["scheduled"].all()
    assert overall(found) == "maintenance"
    assert overall(feed([])) == "working"
    everything = [feed([], [("y", service, *running[2:])])["severity"].item() for service in (None, "", "all", "payment", "login")]
    assert everything == ["major", "major", "major", "major", "minor"]
    assert "메모" not in str(found.rows())


def test_a_launch_that_meets_all_but_its_load_test_is_told_so(tmp_path):
    file = tmp_path / "gate.toml"
    file.write_text(EXAMPLE, encoding="utf-8")
    found = judged(read_gate(file), date(2026, 8, 30), quiet_days=20, needed_p99=1_200.0)
    assert dict(found.select("criterion", "met").iter_rows()) == {"soak_days": True, "load_test": False, "rollback_tried": True, "schedule_kept": True}
    early = judged(read_gate(file), date(2026, 8, 15), quiet_days=5, needed_p99=None)
    assert dict(early.select("criterion", "met").iter_rows()) == {"soak_days": False, "load_test": None, "rollback_tried": False, "schedule_kept": True}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("launch = 2026-09-01", "expected soak_days"),
        ("launch = 2026-09-01\nsoak_days = 14\nsoak = 1", "no criterion 'soak'"),
        ("launch = 'soon'\nsoak_days = 14", "launch: expected date, got 'soon'"),
        ("launch = 2026-09-01\nsoak_days = true", "soak_days: expected int, got True"),
        ("launch = 9999-12-31\nsoak_days = 14", "launch: expected a day from 2000 to 2100, got 9999-12-31"),
        ("launch", "cannot be read as TOML"),
    ],
)
def test_a_gate_that_cannot_be_read_is_told_with_an_example(tmp_path, text, message):
    file = tmp_path / "gate.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(AnalysisError, match=message):
        read_gate(file)


def test_both_availabilities_count_a_minute_that_was_away_for_a_part_of_it():
    ended = pl.DataFrame(
        [{**INCIDENT, "onset_at": naive(FIRST), "detected_at": naive(FIRST), "ended_at": naive(FIRST) + timedelta(minutes=30, seconds=30)}],
        schema=NOTHING.schema,
    )
    assert int(laid_out(span("a", FIRST, 1, minutes(FIRST, 1, busy=2), incidents=ended)).gone.sum()) == 31
