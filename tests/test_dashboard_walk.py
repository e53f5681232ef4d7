"""A walk over every page on the launch day that the simulator made: by links, clicks, filters and files, in both languages, at a desk and on a phone.

``make test-walk PUBLISHED=data/demo/published`` walks over what a demo has published instead, and ``PICTURES=folder`` keeps a picture of every page.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest
from pypdf import PdfReader
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from dashboard.figures.incidents import IncidentFigures, incident_figures, known_incidents
from dashboard.figures.live import day_start_of
from dashboard.formatting import count, exact_won, won
from dashboard.texts import texts_in
from tests.dashboard_browser import MENU, PATIENCE, body, browser, charts, click, fits, missing_browser, served, severe, wait_for
from tests.screenshots import photograph, published_now
from tests.simulated_day import publish_simulated_day
from warehouse.reading import open_snapshot

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "a browser is there")]

WIDTHS = {"desk": 1280, "phone": 390}


@dataclass
class Walk:
    """A browser at the dashboard over ``published``, with a folder that downloads come into."""

    driver: webdriver.Chrome
    address: str
    published: Path
    files: Path
    width: int

    def open(self, page: str, language: str, link: str = "") -> None:
        self.driver.get(f"{self.address}/{page}?lang={language}{link}")

    def sql(self, statement: str) -> list[tuple]:
        """Rows of an answer; ``$day`` stands for the beginning of the newest day, ``$closed`` for the end of its last whole half-hour, ``$now`` for the clock."""
        with open_snapshot(self.published) as snapshot:
            manifest = snapshot.manifest
            closed = min(manifest.watermark or manifest.now, day_start_of(manifest) + timedelta(days=1)).timestamp() // 1800 * 1800
            moments = {"$day": day_start_of(manifest), "$closed": datetime.fromtimestamp(closed, UTC), "$now": manifest.now}
            for name, moment in moments.items():
                statement = statement.replace(name, timestamp(moment))
            return snapshot.connection.execute(statement).fetchall()

    def drawn(self, number: int) -> None:
        WebDriverWait(self.driver, PATIENCE).until(lambda d: len(charts(d)) == number, f"expected {number} charts")

    def found(self, selector: str) -> WebElement:
        """What the page has there, once it does: charts may be drawn before what moves them."""
        return WebDriverWait(self.driver, PATIENCE).until(lambda d: d.find_element(By.CSS_SELECTOR, selector), f"there was no {selector}")

    def said(self, text: str) -> None:
        WebDriverWait(self.driver, PATIENCE).until(lambda d: text in body(d).replace("\N{NO-BREAK SPACE}", " "), f"the page never said {text!r}")

    def linked(self, name: str, value: str) -> None:
        """Wait until the link says so."""
        asked = lambda d: parse_qs(urlsplit(d.current_url).query).get(name)  # noqa: E731 - asked twice
        WebDriverWait(self.driver, PATIENCE).until(lambda d: asked(d) == [value], f"{name} never was {value!r} in the link")

    def taken(self, button: str, suffix: str) -> bytes:
        """Click a button that gives a file, and take it away."""
        for file in self.files.iterdir():
            file.unlink()
        # Where a refresh moves the button away under the pointer, a click by the driver would miss it.
        self.driver.execute_script("arguments[0].click()", self.found(f".st-key-{button} button"))
        new = lambda: [file for file in self.files.iterdir() if file.suffix == suffix]  # noqa: E731 - asked twice
        WebDriverWait(self.driver, PATIENCE).until(lambda _: new(), f"{button} gave no {suffix}")
        return new()[0].read_bytes()

    def ends_well(self, name: str, language: str) -> None:
        """Nothing is wider than the window, nobody was shown an exception, and the console has no error."""
        assert fits(self.driver)
        assert not self.driver.find_elements(By.CSS_SELECTOR, "[data-testid=stException], [role=dialog]")
        pictures = os.environ.get("ONNURI_TEST_PICTURES")
        if pictures:
            Path(pictures).mkdir(parents=True, exist_ok=True)
            photograph(self.driver, Path(pictures) / f"{name}-{language}-{self.width}.png", self.width)
            self.driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride", {"width": self.width, "height": 1400, "deviceScaleFactor": 1, "mobile": self.width < 600}
            )
        assert severe(self.driver) == []


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    given = os.environ.get("ONNURI_TEST_PUBLISHED")
    return published_now(Path(given), folder) if given else publish_simulated_day(folder)


@pytest.fixture(scope="module")
def address(published: Path) -> Iterator[str]:
    with served(published) as found:
        yield found


@pytest.fixture(scope="module", params=list(WIDTHS))
def walk(request: pytest.FixtureRequest, address: str, published: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    files = tmp_path_factory.mktemp("files")
    with browser(tmp_path_factory.mktemp("profile"), width=WIDTHS[request.param]) as driver:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(files)})
        yield Walk(driver, address, published, files, WIDTHS[request.param])


@pytest.fixture(scope="module")
def outage(published: Path) -> IncidentFigures:
    """The launch day's outage as the analysis has it."""
    with open_snapshot(published) as snapshot:
        return incident_figures(snapshot, next(one for one in known_incidents(snapshot) if one.scope == "nation"))


both = pytest.mark.parametrize("language", ["ko", "en"])


@both
def test_live_shows_the_day_s_sales_by_its_name_and_all_markets_on_demand(walk: Walk, language: str) -> None:
    walk.open("live", language)
    ((sales, selling),) = walk.sql("SELECT sum(approved_amount)::BIGINT, count(DISTINCT market_id) FROM market_minute WHERE minute_at >= $day")
    wait_for(walk.driver, "sales", exact_won(sales, language))
    walk.drawn(4)
    walk.said(texts_in(language)("live.markets", number=count(selling)))
    click(walk.driver, texts_in(language)("live.rows_all", number=count(selling)))
    walk.linked("rows", "all")
    walk.ends_well("live", language)


def test_every_page_is_reached_by_the_menu(walk: Walk) -> None:
    texts = texts_in("ko")
    walk.open("", "ko")
    for page in [*(page for page in MENU if page != "live"), "live"]:
        click(walk.driver, texts(MENU[page]))
        WebDriverWait(walk.driver, PATIENCE).until(lambda d, page=page: urlsplit(d.current_url).path == ("/" if page == "live" else f"/{page}"))
        assert "lang=ko" in walk.driver.current_url
    assert len(walk.driver.find_elements(By.CSS_SELECTOR, "[data-testid=stPageLink]")) == len(MENU)
    walk.ends_well("menu", "ko")


@both
def test_sliders_move_the_scenario_and_the_link_and_leave_the_loss_as_it_is(walk: Walk, language: str, outage: IncidentFigures) -> None:
    assert outage.launch is not None and outage.loss is not None
    walk.open("incidents", language, f"&incident={outage.incident.incident_id}&demand=1")
    wait_for(walk.driver, "lost", won(outage.launch.low, language))
    wait_for(walk.driver, "lost", won(outage.launch.high, language))
    wait_for(walk.driver, "scenario_gross", won(outage.launch.at(1.0)[0], language))
    walk.drawn(8)
    walk.found(".st-key-demand input[type=range]").send_keys(Keys.ARROW_RIGHT * 5)
    walk.linked("demand", "1.5")
    wait_for(walk.driver, "scenario_gross", won(outage.launch.at(1.5)[0], language))
    wait_for(walk.driver, "lost", won(outage.launch.low, language))
    walk.ends_well("incidents", language)


@both
def test_a_market_is_found_by_its_name_and_shows_the_sales_that_sql_gives(walk: Walk, language: str) -> None:
    walk.open("markets", language)
    ((market, name, sales),) = walk.sql(
        "SELECT market_id, any_value(name), sum(approved_amount)::BIGINT FROM market_minute JOIN market USING (market_id) "
        "WHERE minute_at >= $day AND minute_at < $closed GROUP BY market_id ORDER BY 3 DESC LIMIT 1"
    )
    walk.drawn(2)
    search = walk.found(".st-key-q input")
    search.send_keys(market + Keys.ENTER)
    walk.linked("market", market)
    walk.said(name)
    wait_for(walk.driver, "market_sales", won(sales, language))
    walk.drawn(2)
    walk.ends_well("markets", language)


@both
def test_failures_are_filtered_to_the_outage_and_are_those_that_sql_counts(walk: Walk, language: str, outage: IncidentFigures) -> None:
    walk.open("failures", language)
    ((failed,),) = walk.sql("SELECT sum(failed) FROM market_minute WHERE minute_at >= $day AND minute_at < $now")
    wait_for(walk.driver, "failure", f"{failed:,}")
    walk.open("failures", language, f"&span={outage.incident.incident_id}")
    until = timestamp(outage.incident.ended_at) if outage.incident.ended_at else "$now"
    ((within,),) = walk.sql(f"SELECT sum(failed) FROM market_minute WHERE minute_at >= {timestamp(outage.incident.onset_at)} AND minute_at < {until}")
    wait_for(walk.driver, "failure", f"{within:,}")
    walk.drawn(1)
    walk.ends_well("failures", language)


@both
def test_the_report_says_what_the_incident_s_page_says_and_is_taken_away_as_pdf(walk: Walk, language: str, outage: IncidentFigures) -> None:
    assert outage.launch is not None
    walk.open("report", language, f"&incident={outage.incident.incident_id}&stage=interim")
    said = won(outage.launch.high, language)
    WebDriverWait(walk.driver, 2 * PATIENCE).until(lambda d: said in framed(d), f"the report never said {said}")
    text = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(walk.taken("report_pdf", ".pdf"))).pages)
    assert said in " ".join(text.split())
    walk.ends_well("report", language)


@both
def test_data_answer_by_clicks_and_are_taken_away_in_three_forms(walk: Walk, language: str) -> None:
    texts = texts_in(language)
    walk.open("data", language, "&table=market")
    click(walk.driver, texts("data.ask", table="market"))
    click(walk.driver, texts("data.run"))
    ((markets,),) = walk.sql("SELECT count(*) FROM market")
    shown = min(markets, 1000)
    walk.said(texts("data.answer", rows=count(shown), columns=count(len(walk.sql("DESCRIBE market")))))
    read = {"csv": pl.read_csv, "xlsx": pl.read_excel, "parquet": pl.read_parquet}
    files = {form: walk.taken(f"download_{form}", f".{form}") for form in read}
    assert {form: len(reader(files[form])) for form, reader in read.items() if form != "xlsx"} == {"csv": shown, "parquet": shown}
    assert files["xlsx"].startswith(b"PK")
    walk.ends_well("data", language)
    for part in ("tables", "method"):
        click(walk.driver, texts(f"data.{part}"))
        walk.said("market_minute" if part == "tables" else texts("method.short")[:20])
        walk.ends_well(f"data-{part}", language)


def timestamp(moment: datetime) -> str:
    """A moment as the published tables have it."""
    return f"TIMESTAMP '{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"


def framed(driver: webdriver.Chrome) -> str:
    """The words inside the frame; the driver is back on the page afterwards."""
    frames = driver.find_elements(By.TAG_NAME, "iframe")
    if not frames:
        return ""
    driver.switch_to.frame(frames[0])
    try:
        return driver.find_element(By.TAG_NAME, "body").text.replace("\N{NO-BREAK SPACE}", " ")
    finally:
        driver.switch_to.default_content()
