"""Both pages in a real browser: what people see, at a desk and on a phone."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from dashboard.figures.incidents import incident_figures, known_incidents
from dashboard.formatting import exact_won, won
from tests.dashboard_browser import browser, missing_browser, served
from tests.dashboard_data import SEOUL, publish_launch_day
from warehouse.reading import open_snapshot

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "a browser is there")]

PATIENCE = 60
PROBES = ("/incidents/_stcore/health", "/incidents/_stcore/host-config")
"""Opened at a page's own address, Streamlit looks for its server below that address first; the browser logs the two 404s."""


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def address(published: Path) -> Iterator[str]:
    with served(published) as found:
        yield found


@pytest.fixture(scope="module", params=[1280, 390], ids=["desk", "phone"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with browser(tmp_path_factory.mktemp("profile"), width=request.param) as driver:
        yield driver


def text_of(driver: webdriver.Chrome, figure: str) -> str:
    found = driver.find_elements(By.CSS_SELECTOR, f"[data-figure={figure}]")
    return found[0].text if found else ""


def wait_for(driver: webdriver.Chrome, figure: str, text: str) -> None:
    WebDriverWait(driver, PATIENCE).until(lambda d: text in text_of(d, figure), f"{figure} never showed {text}; it shows {text_of(driver, figure)!r}")


def charts(driver: webdriver.Chrome) -> list[webdriver.remote.webelement.WebElement]:
    return driver.find_elements(By.CSS_SELECTOR, "[data-testid=stVegaLiteChart] :is(svg.marks, canvas.marks)")


def severe(driver: webdriver.Chrome) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE" and not any(probe in entry["message"] for probe in PROBES)]


def fits(driver: webdriver.Chrome) -> bool:
    return bool(driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"))


def sales_by_sql(published: Path) -> int:
    with open_snapshot(published) as snapshot:
        rows = snapshot.connection.execute(
            "SELECT sum(approved_amount) FROM market_minute WHERE minute_at >= '2025-02-28 15:00' AND minute_at < '2025-03-01 15:00'"
        ).fetchall()
    return int(rows[0][0])


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_live_page_shows_the_sum_that_sql_gives(page: webdriver.Chrome, address: str, published: Path, language: str) -> None:
    publish_launch_day(published, sequence=1)
    page.get(f"{address}/?lang={language}")
    wait_for(page, "sales", exact_won(sales_by_sql(published), language))
    WebDriverWait(page, PATIENCE).until(lambda d: len(charts(d)) == 3)
    assert page.find_element(By.TAG_NAME, "html").get_attribute("lang") == language
    assert fits(page)
    assert severe(page) == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_incident_page_shows_the_loss_that_the_analysis_gives(page: webdriver.Chrome, address: str, published: Path, language: str) -> None:
    publish_launch_day(published, sequence=1)
    with open_snapshot(published) as snapshot:
        loss = incident_figures(snapshot, known_incidents(snapshot)[0]).loss
    assert loss is not None
    page.get(f"{address}/incidents?lang={language}")
    wait_for(page, "lost", won(loss.lost, language))
    assert won(loss.low, language) in text_of(page, "lost")
    assert won(loss.high, language) in text_of(page, "lost")
    WebDriverWait(page, PATIENCE).until(lambda d: len(charts(d)) == 5)
    assert "incident=20250301T0104-nation" in page.current_url
    assert fits(page)
    assert severe(page) == []


def test_moving_to_the_incidents_keeps_the_language(address: str, published: Path, tmp_path: Path) -> None:
    publish_launch_day(published, sequence=1)
    with browser(tmp_path, width=1280) as driver:
        driver.get(f"{address}/?lang=en")
        wait_for(driver, "sales", "KRW")
        driver.find_element(By.LINK_TEXT, "Incidents").click()
        wait_for(driver, "lost", "90% interval")
        assert "lang=en" in driver.current_url
        assert severe(driver) == []


def test_a_new_state_appears_by_itself_inside_the_charts_that_are_there(address: str, published: Path, tmp_path: Path) -> None:
    publish_launch_day(published, sequence=2, clock=datetime(2025, 3, 1, 12, 0, tzinfo=SEOUL))
    with browser(tmp_path, width=1280) as driver:
        driver.get(f"{address}/?lang=ko")
        before = exact_won(sales_by_sql(published), "ko")
        wait_for(driver, "sales", before)
        WebDriverWait(driver, PATIENCE).until(lambda d: len(charts(d)) == 3)
        kept = charts(driver)
        drawn = [chart.get_attribute("outerHTML") for chart in kept]
        driver.execute_script("window.sameDocument = true")
        publish_launch_day(published, sequence=3, clock=datetime(2025, 3, 1, 14, 0, tzinfo=SEOUL))
        after = exact_won(sales_by_sql(published), "ko")
        assert after != before
        wait_for(driver, "sales", after)
        WebDriverWait(driver, PATIENCE).until(lambda d: [chart.get_attribute("outerHTML") for chart in kept] != drawn, "the charts never drew the new data")
        assert [chart.id for chart in charts(driver)] == [chart.id for chart in kept]
        assert driver.execute_script("return window.sameDocument") is True
        assert severe(driver) == []


def test_the_estimate_of_an_open_incident_follows_new_states(address: str, published: Path, tmp_path: Path) -> None:
    publish_launch_day(published, sequence=4, clock=datetime(2025, 3, 1, 15, 0, tzinfo=SEOUL))
    with browser(tmp_path, width=1280) as driver:
        driver.get(f"{address}/incidents?lang=ko")
        wait_for(driver, "lost", "잠정치")
        publish_launch_day(published, sequence=5, clock=datetime(2025, 3, 1, 16, 0, tzinfo=SEOUL))
        wait_for(driver, "lost", "3월 1일 15:50까지")
        assert severe(driver) == []
