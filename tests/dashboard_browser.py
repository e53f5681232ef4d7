"""Serving the dashboard as a process and opening it in the system's Chromium."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.common.exceptions import ElementClickInterceptedException, StaleElementReferenceException, TimeoutException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from benchmarks._processes import dashboard

PATIENCE = 60

MENU = {
    "live": "live.nav",
    "incidents": "incidents.nav",
    "markets": "markets.nav",
    "failures": "failures.nav",
    "forecast": "ahead.nav",
    "compare": "compare.nav",
    "report": "report.nav",
    "data": "data.nav",
    "status": "status.nav",
}
"""Every page's path, and the text that its link in the menu has."""

PROBES = ("/_stcore/health", "/_stcore/host-config")
"""Opened at a page's own address, Streamlit looks for its server below that address first; the browser logs the two 404s."""


def missing_browser() -> str:
    """Why there is no browser to test with; empty where there is one."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"no {' and no '.join(absent)} on this machine (Debian: apt install chromium chromium-driver fonts-nanum)" if absent else ""


@contextmanager
def served(published: Path, environment: Mapping[str, str] | None = None, port: int = 0) -> Iterator[str]:
    """The dashboard over ``published``, as a process; yields its address."""
    with dashboard(published, {"ONNURI_LANGUAGE": "ko", **(environment or {})}, port) as (address, _):
        yield address


@contextmanager
def browser(profile: Path, *, width: int, height: int = 1400) -> Iterator[webdriver.Chrome]:
    """Headless Chromium whose page is ``width`` pixels wide, with a profile of its own."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    # As root Chromium does not start with its sandbox; only our own page is opened. The rest keeps it off the network.
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--disable-quic",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        # A headless window is not narrower than 500 pixels; emulation is.
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        yield driver
    finally:
        driver.quit()


def severe(driver: webdriver.Chrome) -> list[str]:
    """What the browser's console has of errors since the last look, but for Streamlit's own probes."""
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] == "SEVERE" and not any(probe in entry["message"] for probe in PROBES)]


def text_of(driver: webdriver.Chrome, figure: str) -> str:
    """What a figure's card says."""
    # In one step: a refresh may replace the element between finding and reading it.
    return str(driver.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", f"[data-figure={figure}]")).replace(
        "\N{NO-BREAK SPACE}", " "
    )


def wait_for(driver: webdriver.Chrome, figure: str, text: str) -> None:
    """Wait until a figure's card holds a text."""
    try:
        WebDriverWait(driver, PATIENCE).until(lambda d: text in text_of(d, figure))
    except TimeoutException:
        raise AssertionError(f"{figure} never showed {text}; it shows {text_of(driver, figure)!r}") from None


def charts(driver: webdriver.Chrome) -> list[WebElement]:
    """The charts that are drawn."""
    return driver.find_elements(By.CSS_SELECTOR, "[data-testid=stVegaLiteChart] :is(svg.marks, canvas.marks)")


def fits(driver: webdriver.Chrome) -> bool:
    """Whether nothing is wider than the window."""
    return bool(driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth"))


def click(driver: webdriver.Chrome, text: str) -> None:
    """Click the link, button or option that has this text, once it is there."""
    found = f"//*[self::a or self::button or @role='option' or @role='radio'][normalize-space(.)='{text}']"
    WebDriverWait(driver, PATIENCE, ignored_exceptions=(StaleElementReferenceException, ElementClickInterceptedException)).until(
        lambda d: [element.click() or True for element in d.find_elements(By.XPATH, found)[:1]], f"there was no {text!r} to click"
    )


def body(driver: webdriver.Chrome) -> str:
    """All words of the page."""
    # In one step: on the way to another page the element would be gone between finding and reading it.
    return str(driver.execute_script("return document.body?.innerText ?? ''"))
