"""What is ahead on a published state: the warehouse's answers, the commands, and the public feed."""

import csv
import io
import json
import shutil
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest

from dashboard.ahead_words import headline, warning
from dashboard.api.endpoints import ENDPOINTS
from dashboard.figures.ahead import ahead_figures, options_of
from dashboard.texts import texts_in
from streams import cli
from streams.forecasting import compare_in_warehouse
from streams.settings import SettingError
from tests.dashboard_browser import served
from tests.dashboard_data import LAUNCH, SEOUL, publish_launch_day, replace_table
from tests.demand_data import hourly
from tests.test_api import fetched
from warehouse.ahead import _ordinary, ahead, as_of, capacity, demand_ahead, headroom_ahead, public_feed
from warehouse.analysis import HistoryError
from warehouse.analysis.comparison import compare
from warehouse.comparing import compared, operator_spans, span_of
from warehouse.losses import loss_between, opened_before
from warehouse.reading import open_snapshot

BEFORE_LAUNCH = datetime(2025, 2, 20, 12, tzinfo=SEOUL)
LAUNCH_DAY = date(2025, 3, 1)


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """Nine days before the launch, while both old services are switched off."""
    return publish_launch_day(tmp_path_factory.mktemp("closed"), clock=BEFORE_LAUNCH, load_reports=False)


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    return publish_launch_day(tmp_path_factory.mktemp("launched"), ended_at=datetime(2025, 3, 1, 18, tzinfo=SEOUL))


@pytest.fixture
def onnuri(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(published, *arguments):
        monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
        monkeypatch.setattr(sys, "argv", ["onnuri", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == (1 if printed.err.startswith("onnuri: ") else 0), printed.err
        return printed

    return run


def rows(printed) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(printed.out)))


def test_while_the_service_is_off_nothing_is_wanted_and_the_launch_meets_pent_up_demand(closed):
    with open_snapshot(closed) as snapshot:
        found = {row["date"]: row for row in demand_ahead(snapshot, days=24).days.iter_rows(named=True)}
    off, launch, later = (found[day] for day in (date(2025, 2, 25), LAUNCH_DAY, date(2025, 3, 15)))
    assert off["q99"] < launch["q50"] / 1000
    assert launch["q50"] > 1.4 * later["q50"]
    assert launch["q95"] / launch["q50"] > 1.3 > later["q95"] / later["q50"]


def test_before_the_launch_a_load_test_below_the_forecast_peak_is_too_small(closed, onnuri, tmp_path):
    with open_snapshot(closed) as snapshot:
        most = float(ahead(snapshot, days=20).peaks["q95"].max())
    test = tmp_path / "steps.csv"
    pl.DataFrame({"offered": [most / 4, most / 2, most * 0.7], "failed_share": [0.0, 0.01, 0.4]}).write_csv(test)
    printed = onnuri(closed, "capacity", "--load-test", test, "--days", "20", "--format", "csv")
    assert "Too small: capacity must grow by a factor of 2.00 before 2025-03-01 (삼일절)." in printed.err
    independence = next(row for row in rows(printed) if row["name"] == "삼일절")
    assert independence["before"] == "2025-03-01"
    assert float(independence["probability"]) > 0.3
    assert "probability: that the worst single day of the row passes" in printed.err


def test_a_promotion_on_a_workday_that_needs_more_than_any_holiday_is_what_is_told(tmp_path, onnuri):
    publish_launch_day(tmp_path, clock=datetime(2025, 2, 14, 12, tzinfo=SEOUL), load_reports=False)
    replace_table(tmp_path, "maintenance", pl.DataFrame(schema={"label": pl.String}))
    promoted = {"label": "p", "starts_at": datetime(2025, 2, 18, 15), "ends_at": datetime(2025, 2, 20, 15), "factor": 6.0}
    replace_table(tmp_path, "promotion", pl.DataFrame([promoted]))
    with open_snapshot(tmp_path) as snapshot:
        found = ahead_figures(snapshot, "payment", 30, 200.0)
    assert (found.tightest["name"], found.tightest["before"]) == ("all", date(2025, 2, 19))
    told = warning(found, texts_in("en"))
    assert told is not None
    test = tmp_path / "steps.csv"
    test.write_text("offered,failed_share\n200,0\n", encoding="utf-8")
    printed = onnuri(tmp_path, "capacity", "--load-test", test, "--days", "30").err
    factor = f"{found.tightest['factor']:.2f}"
    assert factor in told.detail
    assert f"{factor} before 2025-02-19 (all)" in printed


def test_what_a_service_needs_that_reported_nothing_cannot_be_said(closed, onnuri, tmp_path):
    with open_snapshot(closed) as snapshot:
        found = ahead_figures(snapshot, "top_up", 20, 300.0)
    figures = found.room.table.select("needed", "needed_p50", "headroom", "factor", "before", "probability", "expected_loss")
    assert figures.null_count().row(0) == (len(figures),) * figures.width
    assert found.days["peak_q95"].null_count() == len(found.days)
    for language, said in (("ko", "산출 불가"), ("en", "cannot be said")):
        assert headline(found, texts_in(language))[0].value == said
        told = warning(found, texts_in(language))
        assert told is not None
        assert told.title == texts_in(language)("ahead.no_load")
    printed = onnuri(closed, "capacity", "--service", "top_up", "--days", "20", "--format", "csv")
    assert {row["needed"] for row in rows(printed)} == {""}
    assert "산출 불가 · What top_up needs cannot be said" in printed.err


def test_a_platform_without_a_record_or_a_test_has_no_proven_capacity(closed, onnuri):
    printed = onnuri(closed, "capacity", "--days", "20", "--format", "csv")
    assert "검증된 용량 없음" in printed.err
    assert {row["capacity"] for row in rows(printed)} == {""}
    assert all(float(row["needed"]) > 0 for row in rows(printed))


def test_the_forecast_command_gives_every_market_and_hour(launched, onnuri):
    found = rows(onnuri(launched, "forecast", "--by", "market", "--step", "hour", "--days", "2", "--format", "csv"))
    assert len(found) == 30 * 48
    assert (found[0]["at"], found[47]["at"]) == ("2025-03-01T00:00:00+09:00", "2025-03-02T23:00:00+09:00")
    peaks = rows(onnuri(launched, "forecast", "--what", "peaks", "--days", "3", "--format", "csv"))
    assert [row["date"] for row in peaks] == ["2025-03-01", "2025-03-02", "2025-03-03"]
    assert "--what peaks is of the nation, got --by region" in onnuri(launched, "forecast", "--what", "peaks", "--by", "region").err


def test_anybody_s_sales_are_forecast_from_the_day_after_their_last(onnuri, launched, tmp_path):
    file = tmp_path / "mine.csv"
    hourly(date(2025, 4, 1), 40).write_csv(file)
    printed = onnuri(launched, "forecast", "--sales", file, "--days", "5", "--format", "json")
    found = json.loads(printed.out)
    assert [row["date"] for row in found] == [f"2025-05-{day}" for day in range(11, 16)]
    assert "less than a year" in printed.err
    assert "expected a column 'at'" in onnuri(launched, "forecast", "--sales", _other(tmp_path)).err


@pytest.mark.parametrize("hours", [range(8, 21), [0]], ids=["shops that shut", "sums of days"])
def test_a_day_that_ends_as_early_as_all_is_learnt_and_nothing_was_filled(onnuri, launched, tmp_path, hours):
    file = tmp_path / "mine.csv"
    hourly(date(2025, 4, 1), 40).filter(pl.col("at").dt.hour().is_in(list(hours))).write_csv(file)
    printed = onnuri(launched, "forecast", "--sales", file, "--days", "2", "--format", "json")
    assert [row["date"] for row in json.loads(printed.out)] == ["2025-05-11", "2025-05-12"]
    assert "filled" not in printed.err
    assert "breaks off" not in printed.err


def test_a_last_day_that_breaks_off_is_forecast_and_that_is_said(onnuri, launched, tmp_path):
    file = tmp_path / "mine.csv"
    hourly(date(2025, 4, 1), 40).filter(pl.col("at") < datetime(2025, 5, 10, 15)).write_csv(file)
    printed = onnuri(launched, "forecast", "--sales", file, "--days", "2", "--format", "json")
    assert [row["date"] for row in json.loads(printed.out)] == ["2025-05-10", "2025-05-11"]
    assert "2025-05-10 breaks off at 14:00" in printed.err


def test_days_without_a_time_are_sums_of_days(onnuri, launched, tmp_path):
    file = tmp_path / "mine.csv"
    hourly(date(2025, 4, 1), 40).group_by(pl.col("at").dt.date(), maintain_order=True).agg(pl.col("sales").sum()).write_csv(file)
    found = json.loads(onnuri(launched, "forecast", "--sales", file, "--days", "1", "--format", "json").out)
    assert found[0]["date"] == "2025-05-11"
    assert found[0]["q50"] == pytest.approx(20_000, rel=0.3)


@pytest.mark.parametrize("day", ["9999-12-31", "2100-01-02", "0001-01-01"])
def test_a_day_that_nobody_can_mean_is_not_forecast_from(onnuri, launched, tmp_path, day):
    hourly(date(2025, 4, 1), 40).write_csv(tmp_path / "mine.csv")
    asked = onnuri(launched, "forecast", "--sales", tmp_path / "mine.csv", "--as-of", day)
    assert asked.err == f"onnuri: --as-of is {day}: expected a day from 2000 to 2100\n"
    (tmp_path / "slip.csv").write_text(f"at,sales\n2025-04-01T10:00,3\n{day}T10:00,3\n", encoding="utf-8")
    if day > "2025":
        assert f"its last row is of {day}: expected times from 2000 to 2100" in onnuri(launched, "forecast", "--sales", tmp_path / "slip.csv").err


def _other(folder):
    file = folder / "other.csv"
    file.write_text("when,sales\n2025-04-01,3\n", encoding="utf-8")
    return file


def test_spans_are_compared_by_command_and_a_gate_is_judged(launched, onnuri, tmp_path):
    gate = tmp_path / "gate.toml"
    gate.write_text("launch = 2025-03-01\nsoak_from = 2025-02-25\nsoak_days = 14\nload_test_a_minute = 1\nschedule_kept = false\n", encoding="utf-8")
    spans = ("--first", "2025-01-20/2025-02-10", "--second", "2025-02-14/2025-03-02")
    found = {row["measure"]: row for row in rows(onnuri(launched, "compare", *spans, "--no-losses", "--format", "csv"))}
    assert float(found["failure_rate"]["second"]) > float(found["failure_rate"]["first"])
    assert float(found["planned_minutes"]["second"]) == 14 * 1440
    assert found["loss_per_million"]["why"] == "not_estimated"
    printed = onnuri(launched, "compare", *spans, "--no-losses", "--gate", gate)
    assert [line.split("│")[4].strip() for line in printed.out.splitlines() if "soak_days" in line or "load_test" in line or "schedule_kept" in line] == [
        "no",
        "no",
        "no",
    ]
    unknown = onnuri(launched, "compare", "--first", "nobody", "--second", "2025-02-14/2025-03-02")
    assert "--first is 'nobody': expected an operator or a span such as 2025-01-01/2025-02-01" in unknown.err


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_what_cannot_be_compared_has_no_difference_in_any_form(launched, onnuri, form):
    printed = onnuri(launched, "compare", "--first", "2025-02-01/2025-02-03", "--second", "2025-02-05/2025-02-08", "--no-losses", "--format", form)
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.out.splitlines() if line.startswith("│")]
    found = {"table": lambda: [(row[4], row[3]) for row in lines], "csv": lambda: [(row["why"], row["difference"]) for row in rows(printed)]}
    told = found.get(form, lambda: [(row["why"], "" if row["difference"] is None else row["difference"]) for row in json.loads(printed.out)])()
    assert "few_days" in {why for why, _ in told}
    assert {difference for why, difference in told if why} == {""}
    assert "" not in {difference for why, difference in told if not why}


@pytest.mark.parametrize("span", ["2020-01-01/2020-01-08", "2030-01-01/2030-01-08"])
def test_of_a_time_that_was_not_counted_there_are_no_figures(launched, span):
    table = compare_in_warehouse(launched, "2025-02-01/2025-02-08", span, None, losses=True)[0]
    assert table["second"].null_count() == len(table)
    assert "" not in set(table["why"])


def test_of_a_span_only_what_was_counted_is_compared(launched, onnuri):
    with open_snapshot(launched) as snapshot:
        first, now = snapshot.query("first_minute").item().replace(tzinfo=UTC), as_of(snapshot)
        found = span_of(snapshot, "all", datetime(2024, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), losses=False)
    assert (found.start, found.end) == (first, now)
    assert "end after the start" in onnuri(launched, "compare", "--first", "2025-02-08/2025-02-01", "--second", "2025-02-14/2025-02-20").err


def test_an_operator_who_comes_back_is_two_spans(launched, tmp_path):
    shutil.copytree(launched, tmp_path, dirs_exist_ok=True)
    began = [datetime(2025, 1, 17, 15), datetime(2025, 1, 31, 15), datetime(2025, 2, 7, 15)]
    replace_table(tmp_path, "operator_period", pl.DataFrame({"name": ["A", "B", "A"], "starts_at": began}))
    with open_snapshot(tmp_path) as snapshot:
        options = options_of(snapshot)
    names = ["A (2025-01-18)", "B", "A (2025-02-08)"]
    assert options.operators == names
    starts = [options.spans[name][0].replace(tzinfo=None) for name in names]
    assert starts[1:] == began[1:]
    assert starts[0] == began[0]
    table = compare_in_warehouse(tmp_path, "B", names[2], None, losses=False)[0]
    assert table.row(0)[:3] == ("days", "count", 7.0)
    with pytest.raises(SettingError, match=r"--first is 'A': .* Operators: A \(2025-01-18\), B, A \(2025-02-08\)"):
        compare_in_warehouse(tmp_path, "A", "B", None, losses=False)


@pytest.mark.parametrize("span", ["0001-01-01/2025-02-10", "2025-02-14/9999-12-31T23:59-09:00"])
def test_a_span_out_of_the_times_that_a_person_can_mean_is_refused(launched, onnuri, span):
    refused = onnuri(launched, "compare", "--first", span, "--second", "2025-02-14/2025-03-02")
    assert f"--first is '{span}': expected times from 2000 to 2100" in refused.err


def test_a_switch_off_costs_what_had_been_forecast_for_it(launched):
    start, end = datetime(2025, 2, 14, tzinfo=SEOUL), datetime(2025, 3, 1, tzinfo=SEOUL)
    with open_snapshot(launched) as snapshot:
        found = compared(snapshot, ("before", start - timedelta(days=14), start), ("off", start, end)).table
        sold = snapshot.sql(
            "SELECT sum(approved_amount) / 14 AS sold FROM market_minute WHERE minute_at >= '2025-01-30 15:00' AND minute_at < '2025-02-13 15:00'"
        ).item()
    cost = found.filter(pl.col("measure") == "planned_cost")["second"].item()
    assert cost == pytest.approx(14 * float(sold), rel=0.15)


def test_a_switch_off_that_is_announced_twice_costs_what_it_costs_once(launched, tmp_path):
    first, last = datetime(2025, 2, 14, 15), datetime(2025, 2, 17, 15)
    day = timedelta(days=1)
    said = ([(first, last)], [(first, last), (first, last - day)], [(first, last - day), (last - 2 * day, last)])
    costs = [_announced(tmp_path, launched, spans).planned_cost for spans in said]
    assert costs[0] > 0
    assert costs == pytest.approx([costs[0]] * 3)


@pytest.mark.parametrize("clock", [("11:10", "11:50"), ("10:50", "11:10"), ("11:10", "14:50")])
def test_a_switch_off_of_parts_of_hours_costs_those_parts(launched, tmp_path, clock):
    low, high = (datetime.fromisoformat(f"2025-02-12T{time}") - timedelta(hours=9) for time in clock)
    history = pl.read_parquet(launched / "market_minute-history.parquet")
    inside = pl.col("minute_at").is_between(low, high, closed="left")
    found = _announced(tmp_path, launched, [(low, high)], sold=history.filter(~inside))
    assert found.planned_cost == pytest.approx(history.filter(inside)["approved_amount"].sum(), rel=0.2)


def _announced(folder, launched, spans, sold=None):
    """A week's figures where payments were announced to be off at these times (UTC); a part was ``sold``."""
    shutil.copytree(launched, folder, dirs_exist_ok=True)
    work = [
        {"label": f"w{n}", "service": "payment", "starts_at": low, "ends_at": high, "announced_at": datetime(2025, 2, 1)} for n, (low, high) in enumerate(spans)
    ]
    replace_table(folder, "maintenance", pl.DataFrame(work))
    if sold is not None:
        replace_table(folder, "market_minute", sold)
    start = spans[0][0].replace(hour=0, tzinfo=UTC)
    with open_snapshot(folder) as snapshot:
        return span_of(snapshot, "span", start, start + timedelta(days=5))


def test_incidents_that_overlap_or_share_a_step_are_counted_once(launched, tmp_path):
    noon, minute = datetime(2025, 2, 12, 3), timedelta(minutes=1)
    one, again, later = (noon, noon + 34 * minute), (noon + 10 * minute, noon + 20 * minute), (noon + 36 * minute, noon + 60 * minute)
    span = (datetime(2025, 2, 10, tzinfo=SEOUL), datetime(2025, 2, 14, tzinfo=SEOUL))
    known = [_nationwide(tmp_path, launched, times, span) for times in ([one], [one, again], [(noon, noon + 60 * minute)], [one, again, later])]
    assert known[0].lost == known[1].lost
    assert known[2].lost == known[3].lost
    assert [found.left_out for found in known] == [0, 0, 0, 0]


def test_only_the_longest_times_of_incidents_are_estimated_and_the_others_are_said(launched, tmp_path, monkeypatch):
    monkeypatch.setattr("warehouse.comparing.MOST_WINDOWS", 1)
    hours = [datetime(2025, 2, 12, hour) for hour in (1, 3, 5)]
    times = [(hour, hour + timedelta(minutes=10 * length)) for hour, length in zip(hours, (1, 3, 2), strict=True)]
    span = (datetime(2025, 2, 10, tzinfo=SEOUL), datetime(2025, 2, 14, tzinfo=SEOUL))
    found = _nationwide(tmp_path, launched, times, span)
    with open_snapshot(tmp_path) as snapshot:
        longest = loss_between(snapshot, *(moment.replace(tzinfo=UTC) for moment in times[1]))
    assert (found.lost, found.left_out) == (longest.lost, 2)
    assert compare(replace(found, start=span[1], end=span[1] + timedelta(days=1)), found).left_out == (2, 2)


def test_the_loss_of_a_launch_is_marked_and_held_against_no_other(launched, onnuri, monkeypatch):
    spans = ("--first", "2025-02-03/2025-02-10", "--second", "2025-03-01/2025-03-02")
    printed = onnuri(launched, "compare", *spans, "--format", "json")
    found = {row["measure"]: row for row in json.loads(printed.out)}["loss_per_million"]
    assert (found["first"], found["difference"], found["why"]) == (0, None, "launch")
    assert found["second"] > 0
    assert "loss_per_million of the second is in part of a launch" in printed.err
    before = compare_in_warehouse(launched, "2025-02-03/2025-02-10", "2025-02-10/2025-02-14", None, losses=True)[0].filter(measure="loss_per_million")
    assert before["why"].item() == ""


def _nationwide(folder, launched, times, span):
    """A span's figures where the nation had incidents at these times (UTC)."""
    shutil.copytree(launched, folder, dirs_exist_ok=True)
    replace_table(folder, "incident", _incidents(times))
    with open_snapshot(folder) as snapshot:
        return span_of(snapshot, "span", *span)


def _incidents(times):
    rows = [
        {"incident_id": f"i{n}", "kind": "declared", "scope": "nation", "onset_at": low, "detected_at": low, "last_seen_at": high, "ended_at": high}
        for n, (low, high) in enumerate(times)
    ]
    return pl.DataFrame(rows).with_columns(evidence=pl.lit("{}"), version=1, scope_name=pl.lit(""))


def test_that_a_region_s_incident_was_declared_is_no_notice_of_the_nation_s(launched, tmp_path):
    low, high, span = datetime(2025, 2, 12, 1), datetime(2025, 2, 12, 2), (datetime(2025, 2, 11, tzinfo=UTC), datetime(2025, 2, 13, tzinfo=UTC))
    alone = _nationwide(tmp_path, launched, [(low, high)], span)
    region = {"incident_id": "r", "scope": "region", "scope_name": "서울특별시", "detected_at": low - timedelta(minutes=30)}
    rows = pl.concat([_incidents([(low, high)]), _incidents([(low, high)]).with_columns(**{name: pl.lit(value) for name, value in region.items()})])
    replace_table(tmp_path, "incident", rows)
    with open_snapshot(tmp_path) as snapshot:
        both = span_of(snapshot, "span", *span, losses=False)
    assert (len(alone.incidents), len(both.incidents)) == (1, 2)
    assert len(alone.notices) == 1
    assert both.notices == alone.notices


def test_the_capacity_is_that_of_the_service_asked_for(launched):
    with open_snapshot(launched) as snapshot:
        known = ahead(snapshot, days=10)
        payment, login = (headroom_ahead(snapshot, service, known=known)[0].table["needed"][-1] for service in ("payment", "login"))
        assert capacity(snapshot, "top_up").method == "none"
        assert operator_spans(snapshot) == []
    assert login == pytest.approx(payment * 850 / 700, rel=0.01)


def test_an_operator_without_an_end_ran_the_platform_until_the_next_began(launched, tmp_path):
    shutil.copytree(launched, tmp_path, dirs_exist_ok=True)
    began = [datetime(2020, 1, 1), datetime(2025, 2, 28, 15)]
    replace_table(
        tmp_path,
        "operator_period",
        pl.DataFrame({"name": ["old", "new"], "starts_at": began, "ends_at": [None, None]}, schema_overrides={"ends_at": pl.Datetime}),
    )
    with open_snapshot(tmp_path) as snapshot:
        (_, counted, handed_over), (_, taken_over, now) = operator_spans(snapshot)
        assert (handed_over, now) == (taken_over, as_of(snapshot))
    assert taken_over.astimezone(SEOUL) == datetime(2025, 3, 1, tzinfo=SEOUL)
    assert counted.year == 2025


@pytest.mark.parametrize(
    ("hours", "names"),
    [((0, 48, 96), ["one (2025-02-08)", "two", "one (2025-02-12)"]), ((0, 3, 6), ["one (2025-02-08 00:00)", "two", "one (2025-02-08 06:00)"])],
)
def test_an_operator_who_came_back_has_a_name_for_each_time(launched, tmp_path, hours, names):
    shutil.copytree(launched, tmp_path, dirs_exist_ok=True)
    began = [datetime(2025, 2, 7, 15) + timedelta(hours=hour) for hour in hours]
    replace_table(
        tmp_path,
        "operator_period",
        pl.DataFrame({"name": ["one", "two", "one"], "starts_at": began, "ends_at": [None] * 3}, schema_overrides={"ends_at": pl.Datetime}),
    )
    with open_snapshot(tmp_path) as snapshot:
        assert [name for name, _, _ in operator_spans(snapshot)] == names


def test_what_one_market_lacked_for_days_is_no_opening_of_the_whole_platform(launched, tmp_path):
    shutil.copytree(launched, tmp_path, dirs_exist_ok=True)
    with open_snapshot(tmp_path) as snapshot:
        now, before = as_of(snapshot), demand_ahead(snapshot, days=3)
    ended = now.replace(tzinfo=None) - timedelta(hours=1)
    one = {"label": "화재", "starts_at": [ended - timedelta(days=9)], "ends_at": [ended], "market_id": "M001"}
    replace_table(tmp_path, "exclusion", pl.DataFrame(one))
    with open_snapshot(tmp_path) as snapshot:
        assert demand_ahead(snapshot, days=3).days.equals(before.days)
        everywhere = opened_before(snapshot, now)
    replace_table(tmp_path, "exclusion", pl.DataFrame({**one, "market_id": None}, schema_overrides={"market_id": pl.String}))
    with open_snapshot(tmp_path) as snapshot:
        assert opened_before(snapshot, now) != everywhere


@pytest.mark.parametrize("by", ["nation", "region"])
def test_an_outage_of_a_region_that_is_known_is_not_learnt(tmp_path, by):
    publish_launch_day(tmp_path, clock=datetime(2025, 2, 14, 12, tzinfo=SEOUL), load_reports=False)
    replace_table(tmp_path, "maintenance", pl.DataFrame(schema={"label": pl.String}))
    onset, ended = datetime(2025, 2, 9), datetime(2025, 2, 13, 14)
    with open_snapshot(tmp_path) as snapshot:
        busan = snapshot.query("market_list").filter(region="부산광역시")["market_id"].to_list()
        known = _sales(demand_ahead(snapshot, days=7, by=by))
    row = {"incident_id": "i", "kind": "missing_sales", "scope": "region", "scope_name": "부산광역시", "evidence": "{}", "version": 1}
    times = {"onset_at": onset, "detected_at": onset, "last_seen_at": ended, "ended_at": ended}
    replace_table(tmp_path, "incident", pl.DataFrame([{**row, **times}]))
    history = pl.read_parquet(tmp_path / "market_minute-history.parquet")
    replace_table(tmp_path, "market_minute", history.filter(~(pl.col("minute_at").is_between(onset, ended) & pl.col("market_id").is_in(busan))))
    with open_snapshot(tmp_path) as snapshot:
        assert _sales(demand_ahead(snapshot, days=7, by=by)) == pytest.approx(known, rel=0.05)


def _sales(found):
    """Of Busan, or of the nation."""
    return found.days.filter(pl.col("region") == "부산광역시" if found.by == "region" else pl.lit(value=True))["q50"].to_list()


def test_nothing_complete_is_nothing_to_forecast(launched, tmp_path):
    manifest = json.loads((launched / "manifest.json").read_text(encoding="utf-8"))
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "watermark": None, "files": {}}), encoding="utf-8")
    with open_snapshot(tmp_path) as snapshot, pytest.raises(HistoryError, match="Nothing is complete yet"):
        as_of(snapshot)


def test_the_feed_is_open_to_all_where_that_is_wanted_and_nothing_else_is(launched, monkeypatch):
    monkeypatch.setenv("ONNURI_API_TOKEN", "s3cret")
    monkeypatch.setenv("ONNURI_PUBLIC_STATUS", "true")
    with served(launched) as address:
        answer = fetched(address, "status", None, "GET", {})
        planned = fetched(address, "status", None, "GET", {"state": "completed"})
        others = {endpoint.path: fetched(address, endpoint.path[1:], None, "GET", {}).status for endpoint in ENDPOINTS if endpoint.path != "/status"}
        assert fetched(address, "status", None, "GET", {}, Host="evil.example").status == 421
    items = json.loads(answer.body)["items"]
    assert items[0]["id"] == LAUNCH
    assert items[0]["begin"] == "2025-03-01T10:04:00+09:00"
    assert {item["status"] for item in json.loads(planned.body)["items"]} == {"completed"}
    assert set(others.values()) == {401}
    assert "declared_by" not in items[0]


def test_without_that_setting_the_feed_needs_the_token(launched, monkeypatch):
    monkeypatch.setenv("ONNURI_API_TOKEN", "s3cret")
    with served(launched) as address:
        assert fetched(address, "status", None, "GET", {}).status == 401
        assert fetched(address, "status", None, "GET", {}, Authorization="Bearer s3cret").status == 200


def test_the_feed_has_what_is_published(launched):
    with open_snapshot(launched) as snapshot:
        found = public_feed(snapshot)
    assert set(found["id"]) >= {LAUNCH, "planned-20250215T0000-payment"}
    assert found.filter(pl.col("scheduled"))["status"].to_list() == ["completed"]


def test_what_ends_at_midnight_leaves_the_day_that_begins_then_to_be_learnt_from():
    midnight = datetime(2025, 3, 1, tzinfo=SEOUL)
    minutes = pl.DataFrame({"minute_at": [midnight - timedelta(hours=1), midnight + timedelta(hours=1)]}, schema={"minute_at": pl.Datetime("us", "UTC")})
    off = pl.DataFrame({"market_id": [None], "starts_at": [midnight - timedelta(days=14)], "ends_at": [midnight]}, schema_overrides={"market_id": pl.String})
    assert _ordinary(minutes, off)["minute_at"].to_list() == [midnight + timedelta(hours=1)]
