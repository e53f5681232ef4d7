"""The pages on what is ahead: in the test harness, and in a real browser at a desk and on a phone."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import streamlit as st
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait
from streamlit.testing.v1 import AppTest

from dashboard.command import command
from dashboard.figures.ahead import ahead_figures
from dashboard.formatting import moment, won
from dashboard.texts import texts_in
from tests.dashboard_browser import PATIENCE, body, browser, charts, fits, missing_browser, served, severe, text_of, wait_for
from tests.dashboard_data import SEOUL, publish_incident, publish_launch_day, replace_table
from tests.test_dashboard_access import PROVIDER
from tests.test_dashboard_pages import shown, words
from warehouse.ahead import public_feed
from warehouse.reading import open_snapshot

BEFORE_LAUNCH = datetime(2025, 2, 20, 12, tzinfo=SEOUL)
with_browser = [pytest.mark.browser, pytest.mark.skipif(bool(missing_browser()), reason=missing_browser() or "a browser is there")]


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While both old services are switched off, nine days before the launch."""
    return publish_launch_day(tmp_path_factory.mktemp("closed"), clock=BEFORE_LAUNCH, load_reports=False)


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("launched"))


@pytest.mark.parametrize(
    ("language", "none", "small"), [("ko", "검증된 용량 없음", "용량이 부족합니다"), ("en", "No proven capacity", "Capacity is too small")]
)
def test_a_load_test_that_is_entered_shows_whether_it_would_do(closed, monkeypatch, language, none, small):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(closed))
    _, text = shown("forecast", language, days="30")
    assert none in text
    assert small not in text
    app, text = shown("forecast", language, days="30", tested="10")
    assert small in text
    assert none not in text
    assert app.query_params["tested"] in ("10", ["10"])


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_load_on_course_to_pass_the_capacity_is_warned_of_today(launched, monkeypatch, language):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(launched))
    assert texts_in(language)("ahead.warning") in shown("forecast", language, days="30", tested="10")[1]
    assert texts_in(language)("ahead.warning") not in shown("forecast", language, days="30", tested="5000")[1]


@pytest.mark.parametrize(("language", "said"), [("ko", "산출 불가"), ("en", "cannot be said")])
@pytest.mark.parametrize("tested", ["0", "300"])
def test_a_service_without_reports_of_its_load_needs_nobody_knows_what(closed, monkeypatch, language, said, tested):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(closed))
    _, text = shown("forecast", language, days="30", service="top_up", what="peaks", tested=tested)
    assert said in text
    assert texts_in(language)("ahead.no_load") in text


def test_too_little_history_is_said_and_not_forecast(tmp_path, monkeypatch):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(publish_launch_day(tmp_path, history=False)))
    _, text = shown("forecast", "ko")
    assert texts_in("ko")("ahead.none") in text


def test_nothing_published_is_a_designed_page(tmp_path, monkeypatch):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(tmp_path))
    for page in ("forecast", "compare"):
        assert texts_in("en")("empty.title") in shown(page, "en")[1]


def test_spans_in_the_link_are_those_compared_and_the_same_twice_is_refused(launched, monkeypatch):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(launched))
    _, text = shown("compare", "en", first="before", second="recent")
    assert "Failure rate, like for like" in text
    assert "fewer than three days" in text
    assert "This is the same span twice." in shown("compare", "en", first="recent", second="recent")[1]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_loss_of_a_launch_is_marked_beside_its_figure(launched, monkeypatch, language):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(launched))
    text = shown("compare", language, first="before", second="recent", costs="with")[1]
    assert texts_in(language)("why.launch") in text
    assert texts_in(language)("compare.on_launch_second") in text


@pytest.mark.parametrize("language", ["ko", "en"])
def test_of_two_weeks_before_counting_began_there_is_no_availability(tmp_path, monkeypatch, language):
    published = publish_launch_day(tmp_path, history=False)
    replace_table(published, "maintenance", pl.DataFrame(schema={"label": pl.String}))
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    _, text = shown("compare", language)
    assert "100.00%" not in text
    assert texts_in(language)("why.no_data") in text


@pytest.mark.parametrize(
    ("language", "down", "instead"), [("ko", "지금 결제가 어렵습니다", "지류 온누리상품권"), ("en", "Paying is hard just now", "Paper Onnuri vouchers")]
)
def test_the_public_page_says_what_is_down_and_how_else_to_pay_and_no_sales(launched, monkeypatch, language, down, instead):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(publish_launch_day(launched)))
    _, text = shown("status", language)
    assert down in text
    assert instead in text
    assert "억" not in text
    assert "KRW" not in text


def test_a_state_that_is_not_renewed_is_not_called_working(tmp_path, monkeypatch):
    old = datetime.now(UTC) - timedelta(hours=2)
    published = publish_launch_day(tmp_path, published_at=old, ended_at=datetime(2025, 3, 1, 19, tzinfo=SEOUL))
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    _, text = shown("status", "ko")
    assert "지금 상태를 알 수 없습니다" in text
    assert "정상입니다" not in text


def test_while_a_backlog_is_read_nothing_is_called_working(tmp_path, monkeypatch):
    """Published just now, but complete only up to noon of some days ago; a replay's own clock, years behind the wall's, is no backlog."""
    ended = datetime(2025, 3, 1, 19, tzinfo=SEOUL)
    monkeypatch.setenv("ONNURI_PUBLISHED", str(publish_launch_day(tmp_path, ended_at=ended)))
    for language, working, calm in (("ko", "정상입니다", "정상 운영"), ("en", "Everything works", "Normal operation")):
        assert working in shown("status", language)[1]
        assert calm in shown("live", language)[1]
    with open_snapshot(tmp_path) as snapshot:
        market_minutes = snapshot.sql("FROM market_minute")
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    behind = {"watermark": "2025-02-27T03:00:00+00:00", "published_at": datetime.now(UTC).isoformat(), "sequence": 2}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | behind), encoding="utf-8")
    replace_table(tmp_path, "incident", pl.DataFrame(schema={"incident_id": pl.String}))
    replace_table(tmp_path, "market_minute", market_minutes.filter(pl.col("minute_at") < datetime(2025, 2, 27, 3)))
    st.cache_data.clear()
    for language, working, calm in (("ko", "정상입니다", "정상 운영"), ("en", "Everything works", "Normal operation")):
        texts = texts_in(language)
        _, text = shown("status", language)
        assert texts("status.stale") in text
        assert texts("status.stale_detail", time=moment(datetime(2025, 2, 27, 3, tzinfo=UTC), language)) in text
        assert working not in text
        assert texts("status.no_now") not in text
        _, text = shown("live", language)
        assert texts("live.unknown") in text
        assert calm not in text
        assert text.count(texts("live.none_closed")) == 2
        assert texts("live.no_expected") not in text
        assert won(0, language) not in text.partition(texts("live.sales"))[2].partition(texts("live.failure_rate"))[0]


@pytest.mark.parametrize("manifest", [None, "{"])
def test_the_public_status_names_no_path_and_no_command_where_it_cannot_be_shown_and_the_log_does(tmp_path, monkeypatch, caplog, manifest):
    if manifest:
        (tmp_path / "manifest.json").write_text(manifest, encoding="utf-8")
    monkeypatch.setenv("ONNURI_PUBLISHED", str(tmp_path))
    st.cache_data.clear()
    for language, said in (
        ("ko", "지금 상태를 확인할 수 없습니다. 잠시 뒤 다시 확인해 주십시오."),
        ("en", "The state cannot be shown just now. Please look again shortly."),
    ):
        _, text = shown("status", language)
        assert said in text
        assert not [told for told in (str(tmp_path), "onnuri ", "Error", "manifest") if told in text]
    assert str(tmp_path) in caplog.text


@pytest.mark.parametrize(
    ("scope", "name", "where", "never"),
    [
        ("issuer", "가람카드", ("일부 카드", "Some cards"), "가람카드"),
        ("market", "M003", ("라온1시장", "라온1시장"), "M003"),
        ("region", "unknown", ("미상", "Unknown"), "unknown"),
        ("channel", "card", ("카드", "Card"), "전국"),
    ],
)
def test_the_public_reads_where_it_is_in_words_and_of_no_issuer(scope, name, where, never, tmp_path, monkeypatch):
    published = publish_incident(tmp_path, datetime(2025, 3, 1, 15, tzinfo=SEOUL), None, scope=scope, scope_name=name, peak_failure_rate=0.9)
    manifest = json.loads((published / "manifest.json").read_text(encoding="utf-8"))
    (published / "manifest.json").write_text(json.dumps(manifest | {"published_at": datetime.now(UTC).isoformat()}), encoding="utf-8")
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    for language, told in zip(("ko", "en"), where, strict=True):
        _, text = shown("status", language)
        row = text.partition(texts_in(language)("downtime.ongoing"))[2].partition("15:00")[0]
        assert told in row
        assert never not in row
    with open_snapshot(published) as snapshot:
        feed = public_feed(snapshot).row(0, named=True)
    assert (feed["scope"], feed["market"]) == (scope, "라온1시장" if scope == "market" else None)
    assert "가람카드" not in map(str, feed.values())


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ({"kind": "declared", "declared_by": "김 주무관", "peak_failure_rate": None}, "nationwide"),
        ({"kind": "missing_sales", "peak_failure_rate": 0.02}, "nationwide"),
        ({"peak_failure_rate": 0.9}, "down"),
        ({"scope": "region", "scope_name": "서울특별시", "peak_failure_rate": 0.9}, "disturbed"),
    ],
)
def test_a_nationwide_incident_is_not_told_as_a_problem_of_some_services(told, key, tmp_path, monkeypatch):
    published = publish_incident(tmp_path, datetime(2025, 3, 1, 15, tzinfo=SEOUL), None, **told)
    manifest = json.loads((published / "manifest.json").read_text(encoding="utf-8"))
    (published / "manifest.json").write_text(json.dumps(manifest | {"published_at": datetime.now(UTC).isoformat()}), encoding="utf-8")
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    for language in ("ko", "en"):
        texts = texts_in(language)
        _, text = shown("status", language)
        assert [name for name in ("down", "nationwide", "disturbed") if texts(f"status.{name}") in text] == [key]
        assert texts("status.instead_paper") in text


@pytest.fixture(scope="module")
def address(launched: Path) -> Iterator[str]:
    with served(launched) as found:
        yield found


@pytest.fixture(scope="module", params=[1280, 390], ids=["desk", "phone"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    with browser(tmp_path_factory.mktemp("profile"), width=request.param) as driver:
        yield driver


@pytest.mark.parametrize("language", ["ko", "en"])
class TestInABrowser:
    pytestmark = with_browser

    def test_the_forecast_page_shows_what_the_analysis_gives(self, page: webdriver.Chrome, address: str, launched: Path, language: str) -> None:
        with open_snapshot(launched) as snapshot:
            found = ahead_figures(snapshot, "payment", 30, 0.0)
        page.get(f"{address}/forecast?lang={language}&days=30")
        wait_for(page, "needed", f"{found.tightest['needed']:,.0f}")
        WebDriverWait(page, PATIENCE).until(lambda d: len(charts(d)) == 1)
        page.get(f"{address}/forecast?lang={language}&days=30&what=peaks")
        WebDriverWait(page, PATIENCE).until(lambda d: len(charts(d)) == 1)
        assert text_of(page, "needed")
        assert fits(page)
        assert severe(page) == []

    def test_the_comparison_shows_its_table(self, page: webdriver.Chrome, address: str, language: str) -> None:
        page.get(f"{address}/compare?lang={language}")
        WebDriverWait(page, PATIENCE).until(lambda d: texts_in(language)("measure.failure_rate_alike") in body(d))
        assert fits(page)
        assert severe(page) == []

    def test_the_public_status_is_read(self, page: webdriver.Chrome, address: str, launched: Path, language: str) -> None:
        publish_launch_day(launched)
        page.get(f"{address}/status?lang={language}")
        WebDriverWait(page, PATIENCE).until(lambda d: texts_in(language)("status.down") in body(d))
        assert texts_in(language)("status.instead_paper") in body(page)
        assert fits(page)
        assert severe(page) == []


@pytest.mark.parametrize(("public", "path", "seen"), [("true", "status", True), ("", "status", False), ("true", "live", False)])
def test_without_signing_in_the_status_is_seen_where_it_is_public_and_no_other_page(launched, monkeypatch, public, path, seen):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(launched))
    monkeypatch.setenv("ONNURI_PUBLIC_STATUS", public)
    given = st.navigation

    def navigation(pages: list[st.Page], **options: str) -> st.Page:
        given(pages, **options)
        chosen = next(page for page in pages if page.url_path == path or (path == "live" and not page.url_path))
        chosen._can_be_called = True
        return chosen

    configured, named = st.set_page_config, []

    def configure(**given: str) -> None:
        named.append(given["page_title"])
        configured(**given)

    monkeypatch.setattr(st, "navigation", navigation)
    monkeypatch.setattr(st, "set_page_config", configure)
    app = AppTest.from_file(str(Path(command()[4]).with_name("app.py")), default_timeout=60)
    app.secrets["auth"] = PROVIDER
    app.run()
    assert not app.exception
    assert (texts_in("ko")("access.title") not in words(app)) is seen
    assert (texts_in("ko")("status.title") in words(app)) is seen
    assert named == [f"{texts_in('ko')(f'{path}.nav')} – {texts_in('ko')('app.name')}"]


def test_what_is_over_stands_on_the_public_status_newest_first(tmp_path, monkeypatch):
    days = (datetime(2025, 2, 10, 1), datetime(2025, 2, 25, 1), datetime(2025, 2, 20, 1))
    publish_incident(tmp_path, days[0].replace(tzinfo=UTC), days[0].replace(tzinfo=UTC) + timedelta(hours=1))
    rows = [
        {"incident_id": f"i{day.day}", "kind": "declared", "scope": "nation", "scope_name": "", "onset_at": day, "ended_at": day + timedelta(hours=1)}
        for day in days
    ]
    replace_table(tmp_path, "incident", pl.DataFrame(rows))
    monkeypatch.setenv("ONNURI_PUBLISHED", str(tmp_path))
    st.cache_data.clear()
    _, text = shown("status", "ko")
    past = text.partition(texts_in("ko")("status.past"))[2]
    places = [past.find(f"2월\N{NO-BREAK SPACE}{day}일") for day in (25, 20, 10)]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize(("language", "said"), [("ko", "오늘은 빼고 내일부터 셉니다."), ("en", "Counted from tomorrow on.")])
def test_the_table_of_holidays_says_from_which_day_on_it_counts(launched, monkeypatch, language, said):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(launched))
    assert said in shown("forecast", language, days="30")[1]
