"""Names that would do something are words on the pages, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from dashboard import cards
from tests.dashboard_browser import browser, missing_browser, served
from tests.dashboard_data import LAUNCH, publish_launch_day

HOSTILE = [
    "<script>window.hit = 1</script>",
    '<img src=x onerror="window.hit = 2">',
    '"><svg onload="window.hit = 3">',
    "'; DROP TABLE market; --",
    "=cmd|' /C calc'!A0",
    "\u202etxet\u2067",
    "{{ 7*7 }} $x^2$ **b** [a](javascript:window.hit=4) :material/home:",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_cards_hold_text_from_data_as_text(text):
    made = cards.banner("danger", text, text) + cards.table([text], [[text]], numbers=set(), name=text) + cards.caption(text) + cards.heading(text, text)
    assert not any(dangerous in made for dangerous in ("<script", "<img", "<svg", "\u202e", "\u2067"))
    assert "window.hit" not in text or "window.hit" in made


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    folder = publish_launch_day(tmp_path / "published")
    (file,) = folder.glob("market-*.parquet")
    markets = pl.read_parquet(file)
    names = [HOSTILE[number % len(HOSTILE)] + str(number) for number in range(len(markets))]
    regions = {region: HOSTILE[number] for number, region in enumerate(markets["region"].unique(maintain_order=True))}
    markets.with_columns(name=pl.Series(names), region=pl.col("region").replace(regions)).write_parquet(file)
    with served(folder) as found:
        yield found


@pytest.mark.browser
@pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "a browser is there")
def test_no_page_runs_what_a_market_or_a_region_is_called(address: str, tmp_path: Path):
    with browser(tmp_path / "profile", width=1280) as driver:
        for page, shown in (("/", "[data-testid=stDataFrame]"), (f"/incidents?incident={LAUNCH}", ".on-table tbody td")):
            driver.get(address + page)
            WebDriverWait(driver, 60).until(lambda d, shown=shown: d.find_elements(By.CSS_SELECTOR, shown), f"{page} never showed {shown}")
            assert driver.execute_script("return window.hit") is None
            assert not elements_of_the_names(driver)
        cells = [cell.text for cell in driver.find_elements(By.CSS_SELECTOR, ".on-table tbody td:first-child")]
        assert any(cell.startswith("<script>") for cell in cells)
        assert not any("\u202e" in cell for cell in cells)


def elements_of_the_names(driver: webdriver.Chrome) -> list[object]:
    return driver.find_elements(By.CSS_SELECTOR, "img[src=x], svg[onload], a[href^='javascript']")
