"""On a launch page, report and API tell one story: the same range, from the same published state, wherever a loss is said."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dashboard.api.endpoints import ENDPOINTS
from dashboard.api.parameters import read_parameters
from dashboard.figures.incidents import IncidentFigures, incident_figures, known_incidents
from dashboard.formatting import spanned, unbroken, won
from dashboard.report.author import AuthorFiles, Rule
from dashboard.report.composing import compose
from dashboard.report.document import Document
from dashboard.report.gathering import gather
from dashboard.report.html import write_html
from tests.dashboard_data import LAUNCH, publish_launch_day
from tests.test_dashboard_pages import shown, use
from tests.test_report import html_text
from warehouse.reading import Snapshot, open_snapshot

LANGUAGES = ("ko", "en")
WHOLE = Rule("전액", "merchants", "gross", 1.0, "약관", None)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("launch"))


@pytest.fixture(scope="module")
def snapshot(published: Path) -> Iterator[Snapshot]:
    with open_snapshot(published) as opened:
        yield opened


@pytest.fixture(scope="module")
def outage(snapshot: Snapshot) -> IncidentFigures:
    return incident_figures(snapshot, next(one for one in known_incidents(snapshot) if one.incident_id == LAUNCH))


def told(outage: IncidentFigures, language: str) -> str:
    assert outage.launch is not None
    return spanned(won(outage.launch.low, language), won(outage.launch.high, language), language)


def reported(snapshot: Snapshot, published: Path, language: str) -> Document:
    return compose(gather(snapshot, published, LAUNCH, AuthorFiles(rules=[WHOLE])), language)


def test_the_api_s_range_is_the_page_s(snapshot: Snapshot, outage: IncidentFigures) -> None:
    endpoint = next(one for one in ENDPOINTS if one.path == "/loss")
    row = endpoint.answer(snapshot, read_parameters(endpoint.parameters, [("incident", LAUNCH)])).row(0, named=True)
    assert outage.shortfall is not None and outage.loss is not None
    assert (row["launch_low"], row["launch_high"]) == (round(outage.shortfall.low), round(outage.shortfall.high))
    assert (row["lost"], row["low"], row["high"]) == tuple(round(getattr(outage.loss, name)) for name in ("lost", "low", "high"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_says_the_range_at_its_head_under_the_chart_and_on_the_ladder(
    published: Path, outage: IncidentFigures, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(published, monkeypatch)
    text = shown("incidents", language, incident=LAUNCH)[1].replace("\N{NO-BREAK SPACE}", " ")
    assert outage.launch is not None
    ends = [won(end, language) for end in (outage.launch.low, outage.launch.high)]
    assert text.count(told(outage, language)) + text.count(" to ".join(ends)) >= 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_report_says_the_same_range_in_its_finding_waterfall_methods_sensitivities_and_compensation(
    snapshot: Snapshot, published: Path, outage: IncidentFigures, language: str
) -> None:
    document = reported(snapshot, published, language)
    tables = {table.name: table for table in document.tables}
    assert outage.launch is not None
    interval = spanned(*(unbroken(won(end, language)) for end in (outage.launch.low, outage.launch.high)), language)
    assert tables["waterfall"].rows[2][2].text == interval
    assert tables["methods"].rows[0][3].text == interval
    assert tables["sensitivity"].rows[0][1].text == interval
    assert tables["compensation"].rows[0][6].text == interval
    assert told(outage, language) in html_text(write_html(document)).replace("\N{NO-BREAK SPACE}", " ")


def test_an_assumed_demand_has_the_figure_that_the_table_of_the_launch_has(snapshot: Snapshot, published: Path) -> None:
    tables = {table.name: table for table in reported(snapshot, published, "ko").tables}
    by_factor = {row[0].text.removesuffix("×"): row[2].value for row in tables["launch"].rows}
    assumed = {factor: row[1].value for row in tables["sensitivity"].rows for factor in ("1", "1.5", "2", "3", "4") if f"{factor}배였다면" in row[0].text}
    assert len(assumed) == 5
    assert assumed == {factor: by_factor[factor] for factor in assumed}
