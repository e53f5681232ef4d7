"""The page of reports in a real browser: the preview inside its frame, and the files that are taken away."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdf import PdfReader
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from dashboard.figures.incidents import incident_figures, known_incidents
from dashboard.formatting import won
from tests.dashboard_browser import browser, missing_browser, served, severe
from tests.dashboard_data import LAUNCH, publish_launch_day
from warehouse.reading import open_snapshot

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "a browser is there")]

PATIENCE = 120


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def address(published: Path) -> Iterator[str]:
    with served(published) as found:
        yield found


def preview(driver: webdriver.Chrome) -> str:
    """The words inside the frame; the driver is back on the page afterwards."""
    frames = driver.find_elements(By.TAG_NAME, "iframe")
    if not frames:
        return ""
    driver.switch_to.frame(frames[0])
    try:
        return driver.find_element(By.TAG_NAME, "body").text
    finally:
        driver.switch_to.default_content()


@pytest.mark.parametrize(("language", "width"), [("ko", 1280), ("en", 390)])
def test_the_report_shows_the_loss_that_the_analysis_gives_and_is_taken_away(address, published, tmp_path, language, width):
    with open_snapshot(published) as snapshot:
        loss = incident_figures(snapshot, next(one for one in known_incidents(snapshot) if one.incident_id == LAUNCH)).loss
    assert loss is not None
    with browser(tmp_path / "profile", width=width) as driver:
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
        driver.get(f"{address}/report?lang={language}&incident={LAUNCH}&stage=interim")
        WebDriverWait(driver, PATIENCE).until(lambda d: won(loss.lost, language) in preview(d).replace("\N{NO-BREAK SPACE}", " "))
        assert driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
        driver.find_element(By.CSS_SELECTOR, ".st-key-report_pdf button").click()
        file = tmp_path / f"loss-report-{LAUNCH}-interim-{language}.pdf"
        WebDriverWait(driver, PATIENCE).until(lambda _: file.is_file())
        text = " ".join(page.extract_text() for page in PdfReader(file).pages)
        assert won(loss.lost, language) in " ".join(text.split())
        assert severe(driver) == []
