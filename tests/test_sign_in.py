"""Signing in with a real OpenID Connect provider on this machine, in a real browser: who sees what, who may say something, and what nobody reads without."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from dashboard.formatting import exact_won
from streams.ports import free_port
from tests.dashboard_browser import MENU, PATIENCE, body, browser, click, missing_browser, served, severe, text_of, wait_for
from tests.dashboard_data import publish_launch_day
from tests.oidc_provider import Provider, provider, secrets_file
from warehouse.reading import open_snapshot

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "a browser is there")]

ANALYST, VIEWER, STRANGER, UNVERIFIED = "analyst@example.org", "viewer@example.com", "stranger@example.net", "unverified@example.com"
TOKEN = "a token of the test's own"


@pytest.fixture(scope="module")
def idp() -> Iterator[Provider]:
    with provider() as made:
        made.unverified.add(UNVERIFIED)
        yield made


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def audit_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.jsonl"


@pytest.fixture(scope="module")
def address(idp: Provider, published: Path, audit_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    file = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    file.write_text(secrets_file(idp, f"http://127.0.0.1:{port}"), encoding="utf-8")
    settings = {
        "STREAMLIT_SECRETS_FILES": str(file),
        "ONNURI_ANALYSTS": ANALYST,
        "ONNURI_VIEWERS": "@example.com",
        "ONNURI_API_TOKEN": TOKEN,
        "ONNURI_AUDIT_LOG": str(audit_log),
        # A broker is asked for only where somebody may say something, so that there is none does not matter.
        "ONNURI_KAFKA": "127.0.0.1:1",
    }
    with served(published, settings, port) as found:
        yield found


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    with browser(tmp_path / "profile", width=1280) as found:
        yield found


def sales(published: Path) -> str:
    with open_snapshot(published) as snapshot:
        total = snapshot.connection.execute("SELECT sum(approved_amount)::BIGINT FROM market_minute WHERE minute_at >= '2025-02-28 15:00'").fetchall()[0][0]
    return exact_won(total, "ko")


def sign_in(driver: webdriver.Chrome, address: str, who: str) -> None:
    driver.get(f"{address}/?lang=ko")
    click(driver, "로그인")
    field = WebDriverWait(driver, PATIENCE).until(lambda d: d.find_element(By.ID, "address") if d.find_elements(By.ID, "address") else None)
    field.send_keys(who)
    driver.find_element(By.TAG_NAME, "button").click()
    WebDriverWait(driver, PATIENCE).until(lambda d: d.current_url.startswith(address) and "로그아웃" in body(d))


def fetched(url: str, **headers: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_nobody_reads_a_page_without_signing_in(driver: webdriver.Chrome, address: str) -> None:
    for page in MENU:
        driver.get(f"{address}/{page}?lang=ko")
        WebDriverWait(driver, PATIENCE).until(lambda d: "로그인이 필요합니다" in body(d))
        figures = "[data-figure], [data-testid=stDataFrame], [data-testid=stVegaLiteChart], [data-testid=stDownloadButton]"
        assert not driver.find_elements(By.CSS_SELECTOR, figures)


def test_programs_need_the_token_and_no_sign_in(address: str) -> None:
    assert [fetched(f"{address}/api/v1/{path}")[0] for path in ("markets", "openapi.json")] == [401, 401]
    status, answer = fetched(f"{address}/api/v1/markets", Authorization=f"Bearer {TOKEN}")
    assert (status, json.loads(answer)["total"]) == (200, 30)


def test_a_viewer_sees_the_figures_and_may_say_nothing(driver: webdriver.Chrome, address: str, published: Path) -> None:
    sign_in(driver, address, VIEWER)
    wait_for(driver, "sales", sales(published))
    assert "viewer@example.com · 열람자" in body(driver)
    driver.get(f"{address}/data?lang=ko&part=audit")
    WebDriverWait(driver, PATIENCE).until(lambda d: "표와 뜻" in body(d))
    assert "열람 기록" not in body(driver)
    assert severe(driver) == []


def test_who_has_no_role_sees_nothing_and_can_sign_out(driver: webdriver.Chrome, address: str) -> None:
    for who in (STRANGER, UNVERIFIED):
        sign_in(driver, address, who)
        WebDriverWait(driver, PATIENCE).until(lambda d: "이 계정으로는 볼 수 없습니다" in body(d))
        assert text_of(driver, "sales") == ""
        click(driver, "로그아웃")
        WebDriverWait(driver, PATIENCE).until(lambda d: "로그인이 필요합니다" in body(d))


def test_an_analyst_finds_in_the_log_who_took_what_and_a_file_is_nobody_else_s(driver: webdriver.Chrome, address: str, audit_log: Path, tmp_path: Path) -> None:
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    driver.execute_cdp_cmd("Network.enable", {})
    sign_in(driver, address, ANALYST)
    driver.get(f"{address}/data?lang=ko&part=sql&sql=SELECT%20market_id%20FROM%20market")
    click(driver, "CSV 내려받기")
    WebDriverWait(driver, PATIENCE).until(lambda _: (tmp_path / "onnuri.csv").is_file())
    # The page notes what it fetched a moment after the file is there.
    noted = "return performance.getEntriesByType('resource').map(one => one.name).filter(name => new URL(name).pathname.startsWith('/media/'))"
    files = WebDriverWait(driver, PATIENCE).until(lambda _: driver.execute_script(noted))
    driver.get(f"{address}/data?lang=ko&part=audit")
    WebDriverWait(driver, PATIENCE).until(lambda d: "form=csv · rows=30" in body(d))
    assert ANALYST in body(driver)
    lines = [json.loads(line) for line in audit_log.read_text(encoding="utf-8").splitlines()]
    assert {"seen", "asked", "taken"} <= {line["did"] for line in lines}
    assert not re.search("example|secret|token of", audit_log.read_text(encoding="utf-8"))
    assert [fetched(file)[0] for file in [*files, f"{address}/media/{'0' * 56}.csv"]] == [403] * (len(files) + 1)
