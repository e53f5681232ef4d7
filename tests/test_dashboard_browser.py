"""Every page in a real browser: what people see, at a desk and on a phone."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from dashboard.figures.incidents import incident_figures, known_incidents
from dashboard.formatting import exact_won, won
from tests.dashboard_browser import PATIENCE, body, browser, charts, click, fits, missing_browser, served, severe, text_of, wait_for
from tests.dashboard_data import SEOUL, publish_launch_day
from warehouse.reading import open_snapshot

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "a browser is there")]


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
    WebDriverWait(page, PATIENCE).until(lambda d: len(charts(d)) == 4)
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
    WebDriverWait(page, PATIENCE).until(lambda d: len(charts(d)) == 8)
    assert "incident=20250301T0104-nation" in page.current_url
    assert fits(page)
    assert severe(page) == []


def test_moving_to_the_incidents_keeps_the_language(address: str, published: Path, tmp_path: Path) -> None:
    publish_launch_day(published, sequence=1)
    with browser(tmp_path, width=1280) as driver:
        driver.get(f"{address}/?lang=en")
        wait_for(driver, "sales", "KRW")
        click(driver, "Incidents")
        wait_for(driver, "lost", "90% interval")
        assert "lang=en" in driver.current_url
        assert severe(driver) == []


def test_a_new_state_appears_by_itself_inside_the_charts_that_are_there(address: str, published: Path, tmp_path: Path) -> None:
    publish_launch_day(published, sequence=2, clock=datetime(2025, 3, 1, 12, 0, tzinfo=SEOUL))
    with browser(tmp_path, width=1280) as driver:
        driver.get(f"{address}/?lang=ko")
        before = exact_won(sales_by_sql(published), "ko")
        wait_for(driver, "sales", before)
        WebDriverWait(driver, PATIENCE).until(lambda d: len(charts(d)) == 4)
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


@pytest.mark.slow
def test_the_estimate_of_an_open_incident_follows_new_states(address: str, published: Path, tmp_path: Path) -> None:
    publish_launch_day(published, sequence=4, clock=datetime(2025, 3, 1, 15, 0, tzinfo=SEOUL))
    with browser(tmp_path, width=1280) as driver:
        driver.get(f"{address}/incidents?lang=ko")
        wait_for(driver, "lost", "잠정치")
        publish_launch_day(published, sequence=5, clock=datetime(2025, 3, 1, 16, 0, tzinfo=SEOUL))
        wait_for(driver, "lost", "3월 1일 15:50까지")
        assert severe(driver) == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_failures_page_shows_the_failures_that_sql_counts(page: webdriver.Chrome, address: str, published: Path, language: str) -> None:
    publish_launch_day(published, sequence=1)
    with open_snapshot(published) as snapshot:
        failed = snapshot.connection.execute("SELECT sum(failed) FROM market_minute WHERE minute_at >= '2025-02-28 15:00'").fetchall()[0][0]
    page.get(f"{address}/failures?lang={language}")
    wait_for(page, "failure", f"{failed:,}")
    WebDriverWait(page, PATIENCE).until(lambda d: len(charts(d)) == 1)
    assert fits(page)
    assert severe(page) == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_link_to_a_market_shows_the_sales_that_sql_gives(page: webdriver.Chrome, address: str, published: Path, language: str) -> None:
    publish_launch_day(published, sequence=1)
    query = (
        "SELECT sum(approved_amount)::BIGINT FROM market_minute WHERE market_id = 'M003' AND minute_at >= '2025-02-11 15:00' AND minute_at < '2025-02-12 15:00'"
    )
    with open_snapshot(published) as snapshot:
        sales = snapshot.connection.execute(query).fetchall()[0][0]
    page.get(f"{address}/markets?lang={language}&market=M003&day=2025-02-12")
    wait_for(page, "market_sales", won(sales, language))
    WebDriverWait(page, PATIENCE).until(lambda d: len(charts(d)) == 2)
    assert fits(page)
    assert severe(page) == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_data_page_asks_and_is_asked_by_clicks(page: webdriver.Chrome, address: str, published: Path, language: str) -> None:
    publish_launch_day(published, sequence=1)
    page.get(f"{address}/data?lang={language}&table=market")
    click(page, {"ko": "market 조회하기", "en": "Ask market"}[language])
    click(page, {"ko": "실행", "en": "Run"}[language])
    WebDriverWait(page, PATIENCE).until(lambda d: {"ko": "결과 30행", "en": "Rows: 30"}[language] in body(d))
    assert "part=sql" in page.current_url
    assert fits(page)
    assert severe(page) == []


def test_an_answer_is_taken_away_as_a_file(address: str, published: Path, tmp_path: Path) -> None:
    publish_launch_day(published, sequence=1)
    with browser(tmp_path / "profile", width=1280) as driver:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
        driver.get(f"{address}/data?lang=ko&part=sql&sql=SELECT%20market_id%20FROM%20market%20ORDER%20BY%20market_id")
        click(driver, "CSV 내려받기")
        file = tmp_path / "onnuri.csv"
        WebDriverWait(driver, PATIENCE).until(lambda _: file.is_file())
        assert file.read_text(encoding="utf-8-sig").splitlines() == ["market_id", *(f"M{number:03d}" for number in range(30))]
        assert severe(driver) == []


def test_a_reader_can_reach_the_pages_and_switch_language_by_keyboard(address: str, published: Path, tmp_path: Path) -> None:
    publish_launch_day(published, sequence=1)
    with browser(tmp_path, width=1280) as driver:
        driver.get(f"{address}/failures?lang=ko")
        wait_for(driver, "failure", "%")
        reached = []
        for _ in range(12):
            driver.switch_to.active_element.send_keys(Keys.TAB)
            reached.append(driver.switch_to.active_element.text)
        assert {"실시간", "장애", "시장", "오류", "자료"} <= set(reached)
        charts_without_words = "return [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].filter(chart => !chart.closest('[aria-label]') && !chart.querySelector('[aria-label]')).length"
        assert driver.execute_script(charts_without_words) == 0
