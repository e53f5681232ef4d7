"""What the report says of demand, capacity and the time before: the same figures as on the pages and by the commands."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from dashboard.figures.ahead import DAYS, ahead_figures, around
from dashboard.figures.incidents import known_incidents
from dashboard.report.author import AuthorFiles
from dashboard.report.document import Figures, Notice, Section, Table
from dashboard.report.gathering import Report, gather
from dashboard.report.sections import ahead as sections
from dashboard.report.sections.closing import unknown
from dashboard.report.wording import Wording
from dashboard.texts import texts_in
from streams.forecasting import capacity_from_warehouse, compare_in_warehouse
from tests.dashboard_data import EARLIER, LAUNCH, LAUNCH_DAY, SEOUL, publish_launch_day, replace_table
from tests.test_dashboard_pages import shown
from warehouse.reading import open_snapshot

OLD, NEW = "한가람 운영", "새누리 운영"
CLOSED = datetime(2025, 3, 1, 20, 0, 1, tzinfo=SEOUL)


def naive(day: date) -> datetime:
    return datetime(day.year, day.month, day.day) - timedelta(hours=9)


def payment_load(per_minute: int) -> pl.DataFrame:
    """Eight hours of requests to pay of which none failed, on the launch day's morning."""
    start = naive(LAUNCH_DAY)
    counts = {"attempts": per_minute, "succeeded": per_minute, **dict.fromkeys(("failed", "abandoned", "queue_length", "wait_ms_p50", "wait_ms_p95"), 0)}
    return pl.DataFrame({"minute_at": [start + timedelta(minutes=minute) for minute in range(480)], "service": "payment"}).with_columns(
        **{name: pl.lit(number, pl.Int64) for name, number in counts.items()}
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The launch day, opened by a new operator, who has carried 25 requests a minute."""
    folder = publish_launch_day(tmp_path_factory.mktemp("operators"), published_at=CLOSED)
    periods = {"name": [OLD, NEW], "starts_at": [datetime(2020, 1, 1), naive(LAUNCH_DAY)], "ends_at": [None, None]}
    replace_table(folder, "operator_period", pl.DataFrame(periods, schema_overrides={"ends_at": pl.Datetime("us")}))
    replace_table(folder, "load_minute", payment_load(25))
    return folder


@pytest.fixture(scope="module")
def report(published: Path) -> Report:
    with open_snapshot(published) as snapshot:
        return gather(snapshot, published, LAUNCH, AuthorFiles())


def ahead_in(report: Report, language: str) -> Section:
    return sections.ahead(report, Wording(texts_in(language)))


def compared_in(report: Report, language: str) -> Section:
    return sections.compared(report, Wording(texts_in(language)))


def table_in(section: Section) -> Table:
    return next(block for block in section.blocks if isinstance(block, Table))


def level(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("language", ["ko", "en"])
def test_demand_and_capacity_are_those_of_the_page_and_the_command(published, report, language, monkeypatch):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    section = ahead_in(report, language)
    page = level(shown("forecast", language)[1])
    figures = next(block for block in section.blocks if isinstance(block, Figures))
    (warned,) = [block for block in section.blocks if isinstance(block, Notice)]
    table = table_in(section)
    said = [warned.text.removeprefix(texts_in(language)("ahead.too_small")).strip(), *(value for _, value, _ in figures.shown)]
    said += [cell.text for row in table.rows for cell in row]
    assert [text for text in said if level(text) not in page] == []
    found, room, _ = capacity_from_warehouse(published, "payment", None, 60)
    assert report.ahead is not None
    assert found["proven"].item() == report.ahead.capacity.proven
    for column, name in ((3, "needed"), (6, "probability"), (7, "expected_loss")):
        assert [row[column].value for row in table.rows] == pytest.approx(room[name].to_list(), abs=0.51 if column != 6 else 1e-6)
    assert max(room["factor"]) > 1


@pytest.mark.parametrize("language", ["ko", "en"])
def test_operators_compare_as_on_the_page_and_by_the_command(published, report, language, monkeypatch):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    table = table_in(compared_in(report, language))
    assert [table.columns[1], table.columns[3]] == [OLD, NEW]
    page = level(shown("compare", language)[1])
    assert [cell.text for row in table.rows for cell in row if level(cell.text) not in page] == []
    by_command = {row["measure"]: row for row in compare_in_warehouse(published, OLD, NEW, None, losses=False)[0].iter_rows(named=True)}
    names = {texts_in(language)(f"measure.{name}"): name for name in by_command}
    compared = {names[row[0].text]: row for row in table.rows}
    for name in ("failure_rate", "availability_total", "days", "incidents"):
        assert [compared[name][place].value for place in (1, 3)] == pytest.approx([by_command[name]["first"], by_command[name]["second"]], abs=1e-6)
    assert compared["failure_rate"][3].value > compared["failure_rate"][1].value
    assert compared["failure_rate_alike"][5].text == texts_in(language)(f"why.{by_command['failure_rate_alike']['why']}")


def test_without_load_there_is_no_proven_capacity_and_with_enough_of_it_nothing_to_warn_of(report, tmp_path):
    published = publish_launch_day(tmp_path, load_reports=False)
    with open_snapshot(published) as snapshot:
        without = replace(report, ahead=ahead_figures(snapshot, "payment", DAYS, 0.0))
    for language, said in (("ko", "검증된 용량 없음"), ("en", "No proven capacity")):
        assert [block.text.startswith(said) for block in ahead_in(without, language).blocks if isinstance(block, Notice)] == [True]
        assert texts_in(language)("report_unknown.capacity") in unknown(without, Wording(texts_in(language))).blocks[0].texts
    replace_table(published, "load_minute", payment_load(5_000))
    with open_snapshot(published) as snapshot:
        ample = replace(report, ahead=ahead_figures(snapshot, "payment", DAYS, 0.0))
    section = ahead_in(ample, "ko")
    assert [block for block in section.blocks if isinstance(block, Notice)] == []
    assert {row[4].text for row in table_in(section).rows} == {"충분"}
    assert texts_in("ko")("report_unknown.capacity") not in unknown(ample, Wording(texts_in("ko"))).blocks[0].texts


def test_without_operators_the_incident_s_time_stands_beside_the_weeks_before(tmp_path):
    days = timedelta(days=1)
    with open_snapshot(publish_launch_day(tmp_path)) as snapshot:
        known = {incident.incident_id: incident for incident in known_incidents(snapshot)}
        earlier, launch = (around(snapshot, known[name].onset_at, known[name].ended_at) for name in (EARLIER, LAUNCH))
    assert earlier is not None
    assert launch is not None
    assert not earlier.operators
    onset = datetime(2025, 2, 12, tzinfo=SEOUL)
    assert (earlier.first.end, earlier.second.start, earlier.second.end) == (onset, onset, onset + 14 * days)
    assert earlier.first.start.astimezone(SEOUL).date() == LAUNCH_DAY - 42 * days
    # It ends with what is counted, a minute before the clock.
    assert launch.second.end == datetime(2025, 3, 1, 19, 59, tzinfo=SEOUL)


def test_without_any_day_before_the_report_says_that_nothing_can_be_forecast_or_compared(tmp_path):
    published = publish_launch_day(tmp_path, history=False)
    with open_snapshot(published) as snapshot:
        report = gather(snapshot, published, LAUNCH, AuthorFiles())
    for language in ("ko", "en"):
        for section, group in ((ahead_in(report, language), "report_ahead"), (compared_in(report, language), "report_compared")):
            assert [block.text for block in section.blocks] == [texts_in(language)(f"{group}.unknown")]
