"""Serving the dashboard as a process and opening it in the system's Chromium."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

REPOSITORY = Path(__file__).parents[1]

PROBES = ("/_stcore/health", "/_stcore/host-config")
"""Opened at a page's own address, Streamlit looks for its server below that address first; the browser logs the two 404s."""


def missing_browser() -> str:
    """Why there is no browser to test with; empty where there is one."""
    absent = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]
    return f"no {' and no '.join(absent)} on this machine (Debian: apt install chromium chromium-driver fonts-nanum)" if absent else ""


@contextmanager
def served(published: Path) -> Iterator[str]:
    """The dashboard over ``published``, as a process; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "ONNURI_PUBLISHED": str(published), "ONNURI_LANGUAGE": "ko"}
    process = subprocess.Popen(
        [sys.executable, "-m", "dashboard", "--port", str(port)], cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_healthy(address, process)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


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


def _wait_until_healthy(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"The dashboard ended with exit code {process.returncode} before it answered at {address}.")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"The dashboard did not answer at {address} within 30 seconds.")
