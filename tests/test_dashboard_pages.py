"""Every page in both languages and in every state, run by Streamlit's own test harness."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import bars
from dashboard.command import command
from dashboard.figures.failures import failures_in
from dashboard.figures.incidents import known_incidents
from dashboard.figures.live import live_figures
from dashboard.figures.rates import rates_of
from dashboard.formatting import count
from dashboard.report.author import AuthorFiles
from dashboard.report.composing import compose
from dashboard.report.document import Table
from dashboard.report.gathering import gather
from dashboard.settings import DashboardSettings
from dashboard.texts import texts_in
from dashboard.views import data, live
from tests.dashboard_data import EARLIER, LAUNCH, ONSET, SEOUL, publish_incident, publish_launch_day, replace_table
from warehouse.connection import open_memory
from warehouse.ingest import SMALL_TABLES
from warehouse.reading import ManifestError, open_snapshot
from warehouse.states import HOURLY

LANGUAGES = ("ko", "en")
PAGES = ("live", "incidents", "markets", "failures", "data")


def script(page: str) -> None:
    from dashboard.frame import chosen_texts, top  # noqa: PLC0415 - Streamlit runs this function's text as a script
    from dashboard.settings import DashboardSettings  # noqa: PLC0415
    from dashboard.views import compare, data, failures, forecast, incidents, live, markets, status  # noqa: PLC0415

    settings = DashboardSettings.read()
    texts = chosen_texts(settings)
    top(texts)
    older = {"live": live, "incidents": incidents, "markets": markets, "failures": failures, "data": data}
    {**older, "forecast": forecast, "compare": compare, "status": status}[page].page(settings, texts)


def shown(page: str, language: str, **link: str) -> tuple[AppTest, str]:
    """The page after one run, and its words."""
    app = AppTest.from_function(script, kwargs={"page": page}, default_timeout=60)
    app.query_params["lang"] = language
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app, words(app)


def words(app: AppTest) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in app.html)))


@pytest.fixture(scope="module")
def launch_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("published"))


@pytest.fixture
def published(launch_day: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use(launch_day, monkeypatch)


def use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONNURI_PUBLISHED", str(folder))
    return folder


@pytest.mark.parametrize(("language", "before"), [("ko", "직전의 수요가 이어졌다면 기대"), ("en", "Had demand gone on as before, ")])
def test_on_a_launch_what_was_paid_is_held_against_a_demand_that_went_on(language: str, before: str, published: Path) -> None:
    _, text = shown("incidents", language, incident=LAUNCH)
    assert before in text
    assert ("90% 추정구간입니다" if language == "ko" else "This is a 90% interval") in text


@pytest.mark.parametrize(
    ("scope", "name", "everywhere"),
    [
        ("nation", "", True),
        ("issuer", "가람카드", True),
        ("service", "login", True),
        ("region", "부산광역시", False),
        ("market", "M000", False),
        ("channel", "card", False),
    ],
)
def test_an_incident_of_a_part_colours_no_figure_and_no_chart_of_the_nation(scope: str, name: str, everywhere: bool, tmp_path: Path) -> None:  # noqa: FBT001
    with open_snapshot(publish_incident(tmp_path, ONSET, None, scope=scope, scope_name=name)) as snapshot:
        found = live_figures(
            snapshot, pl.DataFrame(schema={"at": pl.Datetime("us", "Asia/Seoul"), "expected": pl.Float64, "low": pl.Float64, "high": pl.Float64})
        )
    drawn = live.drawn(found, texts_in("ko"))
    assert len(drawn.open_incidents) == 1
    assert ("danger" in drawn.figures) is everywhere
    assert [len(drawing.data["spans"]) > 0 for drawing, _ in (drawn.sales, drawn.rates)] == [everywhere] * 2


@pytest.mark.parametrize(
    ("scope", "name", "said"), [("channel", "card", "결제 수단 카드 ·"), ("service", "login", "서비스 로그인 ·"), ("region", "unknown", "지역 미상 ·")]
)
def test_the_live_page_names_what_an_incident_hit_as_the_incident_page_does(
    scope: str, name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(publish_incident(tmp_path, datetime(2025, 3, 1, 15, tzinfo=SEOUL), None, scope=scope, scope_name=name), monkeypatch)
    assert said in shown("live", "ko")[1]
    assert said in shown("incidents", "ko")[1]


@pytest.mark.parametrize("page", PAGES)
def test_every_place_that_scrolls_can_be_told_by_its_name(page: str, published: Path) -> None:
    app, _ = shown(page, "ko")
    places = re.findall(r'<div class="on-scroll"[^>]*>', " ".join(element.proto.body for element in app.html))
    named = [re.search(r'role="region" aria-label="([^"]+)"', place) for place in places]
    assert all(named)
    assert len({found.group(1) for found in named if found}) == len(places)


@pytest.mark.parametrize(("language", "more"), [("ko", "외 2건"), ("en", "and 2 more")])
def test_of_many_open_incidents_three_have_a_banner_and_the_others_are_counted(
    language: str, more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(publish_incident(tmp_path, ONSET, None), monkeypatch)
    onset = ONSET.astimezone(UTC).replace(tzinfo=None)
    row = {"kind": "declared", "scope": "market", "onset_at": onset, "detected_at": onset, "last_seen_at": onset}
    replace_table(tmp_path, "incident", pl.DataFrame([{**row, "incident_id": f"i{place}", "scope_name": f"M00{place}"} for place in range(5)]))
    _, text = shown("live", language)
    assert text.count(texts_in(language)("live.incident")) == 3
    assert more in text


def test_the_legend_of_a_market_s_days_breaks_where_it_is_narrow() -> None:
    days = pl.DataFrame({"day": [date(2025, 3, 1)], "sales": [1], "market_day": [False], "incident": [False], "closed": [False]})
    assert "width" in str(bars.days_chart(days, texts_in("en")).spec["layer"][0]["encoding"]["color"]["legend"]["columns"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_without_history_the_sum_that_was_paid_is_shown_and_attempts_say_what_is_not_in_them(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(publish_incident(tmp_path, ONSET, ONSET + timedelta(hours=2)), monkeypatch)
    start = ONSET.astimezone(UTC).replace(tzinfo=None) - timedelta(minutes=ONSET.minute % 10)
    with open_snapshot(tmp_path) as snapshot:
        sums = snapshot.sql("SELECT * FROM market_minute")
        paid = snapshot.sql("SELECT minute_at, approved_amount FROM nation_minute").filter(
            pl.col("minute_at").is_between(start, start + timedelta(hours=2, minutes=10), closed="left")
        )["approved_amount"]
    replace_table(tmp_path, "market_minute", sums.filter(pl.col("minute_at") >= start))
    app, text = shown("incidents", language)
    assert texts_in(language)("incidents.no_history") in text
    observed = next(element.proto.body for element in app.html if 'data-figure="observed"' in element.proto.body)
    assert f"{paid.sum():,}" in observed
    assert {"ko": "실패한 구매의 시도", "en": "Attempts of failed purchases"}[language] in text
    assert {"ko": "구매 번호나 구매자를 알 수 없는 시도는", "en": "name neither purchase nor buyer"}[language] in text


@pytest.mark.parametrize(
    ("language", "expected"),
    [("ko", ("오늘 결제액", "기술적 실패율", "정상 거절률", "40,000명")), ("en", ("Sales today", "Technical failure rate", "People in the queue", "40,000"))],
)
@pytest.mark.usefixtures("published")
def test_the_live_page_shows_sales_rates_and_queue(language: str, expected: tuple[str, ...]) -> None:
    app, text = shown("live", language)
    for words_of_page in expected:
        assert words_of_page in text
    assert len(app.dataframe) == 1
    assert len(app.get("vega_lite_chart")) == 4


@pytest.mark.usefixtures("published")
def test_the_live_page_shows_the_markets_that_sell_most_and_all_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_SOLD", 10)
    most = shown("live", "ko")[0].dataframe[0].value
    every = shown("live", "ko", rows="all")[0].dataframe[0].value
    assert (len(most), len(every)) == (10, 30)
    assert most["sales"].to_list() == sorted(every["sales"].to_list(), reverse=True)[:10]


@pytest.mark.parametrize(
    ("language", "expected"),
    [("ko", ("결제 감소액 추정", "90% 추정구간", "잠정치", "실패한 구매")), ("en", ("Estimated shortfall", "90% interval", "Provisional"))],
)
@pytest.mark.usefixtures("published")
def test_the_incident_page_shows_the_loss_with_its_interval_and_that_it_is_provisional(language: str, expected: tuple[str, ...]) -> None:
    app, text = shown("incidents", language)
    for words_of_page in expected:
        assert words_of_page in text
    assert len(app.get("vega_lite_chart")) == 8


@pytest.mark.usefixtures("published")
def test_a_link_opens_its_incident_and_language() -> None:
    app, text = shown("incidents", "en", incident=EARLIER)
    assert "Missing sales, 12 Feb 13:00" in text
    assert app.query_params["incident"] in (EARLIER, [EARLIER])


@pytest.mark.usefixtures("published")
def test_choosing_an_incident_puts_it_into_the_link() -> None:
    app, _ = shown("incidents", "ko")
    app.selectbox[0].set_value(EARLIER).run()
    assert app.query_params["incident"] in (EARLIER, [EARLIER])
    assert "2월 12일 13:00 결제 급감" in words(app)


@pytest.mark.usefixtures("published")
def test_a_link_to_an_unknown_incident_says_so_and_shows_the_newest() -> None:
    _, text = shown("incidents", "ko", incident="nothing-<b>")
    assert "링크의 장애를 찾을 수 없습니다" in text
    assert "nothing-<b>" in text
    assert "3월 1일 10:04 결제 실패 급증" in text


@pytest.mark.parametrize(("page", "name"), [("incidents", "incident"), ("failures", "span")])
def test_a_link_to_a_merged_incident_opens_the_one_that_it_became(page: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_launch_day(use(tmp_path, monkeypatch))
    known = pl.read_parquet(tmp_path / "incident-v1.parquet")
    part = known.filter(incident_id=EARLIER).with_columns(incident_id=pl.lit("part"), merged_into=pl.lit(EARLIER))
    replace_table(tmp_path, "incident", pl.concat([known, part]))
    app, text = shown(page, "ko", **{name: "part"})
    assert app.query_params[name] in (EARLIER, [EARLIER])
    assert ("링크의 장애는 이 장애에 병합되었습니다" in text) == (page == "incidents")
    assert "찾을 수 없습니다" not in text


@pytest.mark.usefixtures("published")
def test_the_switch_of_language_is_kept_in_the_link() -> None:
    app, text = shown("live", "ko")
    assert "오늘 결제액" in text
    app.segmented_control[0].set_value("en").run()
    assert app.query_params["lang"] in ("en", ["en"])
    assert "Sales today" in words(app)


@pytest.mark.usefixtures("published")
def test_an_unknown_language_in_the_link_falls_back_to_korean() -> None:
    _, text = shown("live", "xx")
    assert "오늘 결제액" in text


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("page", PAGES)
def test_before_anything_is_published_a_page_says_how_to_start(page: str, language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path, monkeypatch)
    _, text = shown(page, language)
    assert "onnuri demo" in text
    assert {"ko": "아직 집계된 결제가 없습니다", "en": "Nothing has been counted yet"}[language] in text


@pytest.mark.parametrize("page", PAGES)
def test_old_data_carry_a_banner_with_their_age(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path, published_at=datetime.now(UTC) - timedelta(hours=2)), monkeypatch)
    assert "자료가 갱신되지 않고 있습니다" in shown(page, "ko")[1]
    assert "2 h ago" in shown(page, "en")[1]


@pytest.mark.parametrize(("language", "said"), [("ko", "Kafka가 응답하지 않아"), ("en", "Kafka does not answer")])
def test_while_kafka_is_away_a_banner_says_up_to_when_the_figures_are_complete(
    language: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = publish_launch_day(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    clock = datetime.fromisoformat(manifest["now"])
    (folder / "manifest.json").write_text(json.dumps({**manifest, "lag": None, "now": (clock + timedelta(hours=3)).isoformat()}), encoding="utf-8")
    use(folder, monkeypatch)
    _, text = shown("live", language)
    assert said in text
    assert {"ko": "3시간", "en": "3 h"}[language] in text


def test_fresh_data_carry_no_banner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path), monkeypatch)
    _, text = shown("live", "ko")
    assert "갱신되지 않고" not in text
    assert "사라진 기록" not in text


def test_lost_ranges_carry_a_banner_with_their_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path, lost=1234), monkeypatch)
    assert "1,234건이 빠져" in shown("live", "ko")[1]


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("gone before they were read", "payments/1: 오프셋 10부터 25 앞까지"),
        ("topic made anew", "payments/1 토픽이 삭제된 뒤 새로"),
        ("log cut back", "payments/1 토픽의 끝부분이 Kafka에서 사라지고"),
    ],
)
def test_each_lost_range_is_named_even_where_nobody_knows_how_much_it_held(cause: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = publish_launch_day(tmp_path)
    manifest = json.loads((folder / "manifest.json").read_bytes())
    lost = {"topic": "payments", "partition": 1, "from_offset": 10, "to_offset": 25, "cause": cause, "found_at": manifest["now"]}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "lost_ranges": [lost]}), encoding="utf-8")
    use(folder, monkeypatch)
    assert said in shown("live", "ko")[1]


def test_without_load_reports_the_queue_is_not_available_and_not_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path, load_reports=False), monkeypatch)
    app, text = shown("live", "ko")
    assert "산출 불가" in text
    assert "0명" not in text
    assert len(app.get("vega_lite_chart")) == 3


def test_without_history_the_pages_say_that_nothing_can_be_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = datetime(2025, 3, 1, 10, 30, tzinfo=SEOUL)
    use(publish_launch_day(tmp_path, history=False, clock=clock), monkeypatch)
    assert "기대 결제액: 산출 불가" in shown("live", "ko")[1]
    # The morning before the onset is all there is, and it belongs to the incident's own day.
    app, text = shown("incidents", "ko")
    assert "결제 감소액을 산출할 수 없습니다" in text
    assert "정상 영업일이 하루 이상" in text
    assert "실패한 구매" in text
    assert not app.get("vega_lite_chart")
    assert "The shortfall cannot be estimated" in shown("incidents", "en")[1]


def test_where_every_past_day_is_excluded_the_incident_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    span = [{"label": "모두 제외", "starts_at": datetime(2025, 1, 1), "ends_at": datetime(2025, 2, 28, 15), "market_id": None}]
    use(publish_launch_day(tmp_path, exclusions=span), monkeypatch)
    assert "정상 영업일이 하루 이상" in shown("incidents", "ko")[1]


@pytest.mark.parametrize(("language", "expected"), [("ko", "아직 집계되지 않았습니다"), ("en", "Not counted yet")])
def test_an_incident_that_has_just_opened_says_that_its_estimate_comes(language: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path, clock=datetime(2025, 3, 1, 10, 9, tzinfo=SEOUL)), monkeypatch)
    app, text = shown("incidents", language)
    assert expected in text
    assert not app.get("vega_lite_chart")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_incident_that_ended_at_its_onset_gives_a_message_and_no_error(language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path, clock=datetime(2025, 3, 1, 10, 9, tzinfo=SEOUL), ended_at=ONSET), monkeypatch)
    _, text = shown("incidents", language)
    assert {"ko": "산출할 수 없습니다", "en": "cannot be estimated"}[language] in text


def test_the_korean_incident_page_tells_method_and_warnings_in_korean(published: Path) -> None:
    _, text = shown("incidents", "ko")
    assert published.exists()
    assert "반감기 7일" in text
    assert "정상 영업일이 15일 떨어져 있습니다" in text
    assert "Gross shortfall" not in text
    assert "ordinary day" not in text


@pytest.mark.parametrize("damage", ["a missing file", "half a manifest"])
@pytest.mark.parametrize("page", PAGES)
def test_data_that_cannot_be_read_give_a_message_and_no_stack_trace(page: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path), monkeypatch)
    manifest = tmp_path / "manifest.json"
    if damage == "a missing file":
        content = json.loads(manifest.read_text(encoding="utf-8"))
        content["files"]["market_minute"] = content["files"]["incident"] = ["gone.parquet"]
        manifest.write_text(json.dumps({**content, "warehouse_id": "damaged"}), encoding="utf-8")
    else:
        manifest.write_text('{"sequence": 1,', encoding="utf-8")
    assert "자료를 잠시 읽을 수 없습니다" in shown(page, "ko")[1]


def test_names_from_data_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path), monkeypatch)
    app, _ = shown("incidents", "ko", incident="<script>alert(1)</script>")
    assert not [element for element in app.html if "<script>alert" in element.proto.body]


def test_the_whole_app_starts_on_the_live_page(published: Path) -> None:
    app = AppTest.from_file(str(Path(command()[4]).with_name("app.py")), default_timeout=60).run()
    assert not app.exception
    assert "오늘 결제액" in words(app)
    assert published.exists()


def test_the_published_folder_is_beside_the_warehouse_unless_it_is_named() -> None:
    assert DashboardSettings.read({"ONNURI_WAREHOUSE": "/srv/line.duckdb"}).published == Path("/srv/published")
    assert DashboardSettings.read({"ONNURI_PUBLISHED": "/elsewhere", "ONNURI_WAREHOUSE": "/srv/line.duckdb"}).published == Path("/elsewhere")
    assert DashboardSettings.read({}).published == Path("data/published")


def test_the_server_listens_on_this_machine_and_shows_no_details_or_tools() -> None:
    flags = command("127.0.0.1", 8600)
    for flag in (
        "--server.address=127.0.0.1",
        "--server.port=8600",
        "--server.fileWatcherType=none",
        "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none",
        "--client.toolbarMode=minimal",
        "--runner.magicEnabled=false",
    ):
        assert flag in flags


# The other pages


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("ko", ("소비자 피해", "기록 없음", "3시간 내 복구", "시도로 드러나지 않은 몫", "취소된 결제: 장애 중에")),
        ("en", ("Consumers", "person-hours", "Failed purchases", "on neither side", "Taken back: KRW")),
    ],
)
@pytest.mark.usefixtures("published")
def test_the_incident_page_tells_of_people_rules_and_every_method(language: str, expected: tuple[str, ...]) -> None:
    _, text = shown("incidents", language)
    for words_of_page in expected:
        assert words_of_page in text


def test_a_survey_and_claims_stand_on_the_incident_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"note": "", "incident_id": LAUNCH}
    claims = [{**said, "source": "어느 신문", "amount": 10_000_000_000_000, "claimed_at": datetime(2025, 3, 2)}]
    surveys = [{**said, "label": "상인 조사", "substitution": 0.2, "low": 0.1, "high": 0.4}]
    use(publish_launch_day(tmp_path, claims=claims, surveys=surveys), monkeypatch)
    _, text = shown("incidents", "ko")
    assert "벗어난 주장: 어느 신문" in text
    assert "대체 구매 조사 ‘상인 조사’의 20%(10% ~ 40%)" in text  # noqa: RUF001


@pytest.mark.parametrize(("language", "day", "untold"), [("ko", "2025년 3월 5일 (수)", "–"), ("en", "Wed 5 Mar 2025", "–")])
def test_claims_and_surveys_are_shown_with_their_notes_and_a_claim_with_its_day(
    language: str, day: str, untold: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = {
        "source": "어느 신문",
        "amount": 10_000_000_000,
        "claimed_at": datetime(2025, 3, 4, 16),
        "note": "3월 5일 자 3면 <근거 없음>",
        "incident_id": LAUNCH,
    }
    silent = {**claim, "source": "어느 단체", "note": ""}
    survey = {"label": "상인회 조사", "substitution": 0.3, "low": 0.1, "high": 0.5, "note": "응답 120명", "incident_id": LAUNCH}
    use(publish_launch_day(tmp_path, claims=[claim, silent], surveys=[survey]), monkeypatch)
    _, text = shown("incidents", language)
    with open_snapshot(tmp_path) as snapshot:
        document = compose(gather(snapshot, tmp_path, LAUNCH, AuthorFiles()), language)
    (table,) = [block for section in document.sections for block in section.blocks if isinstance(block, Table) and block.name == "evidence"]
    rows = [[cell.text for cell in row] for row in table.rows]
    assert [(row[1], row[3], row[4]) for row in rows] == [("어느 단체", day, untold), ("어느 신문", day, claim["note"]), ("상인회 조사", untold, "응답 120명")]
    for row in rows:
        assert "  ".join(row) in " ".join(text.split(" "))


def test_where_more_was_paid_than_expected_the_incident_page_tells_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    onset = datetime(2025, 2, 13, 12, 5, tzinfo=SEOUL)
    use(publish_incident(tmp_path, onset, onset + timedelta(minutes=20)), monkeypatch)
    _, text = shown("incidents", "ko")
    texts = texts_in("ko")
    assert "2.6% 많음" in text
    assert text.count(texts("incidents.negative")) == 2
    assert texts("incidents.chance") in text
    assert "−2.6%" not in text.split(texts("incidents.regions"))[0]


def test_an_incident_of_an_issuer_says_before_its_figures_that_they_are_the_nation_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_incident(tmp_path, ONSET, ONSET + timedelta(hours=2), scope="issuer", scope_name="가람카드"), monkeypatch)
    _, text = shown("incidents", "ko")
    said = texts_in("ko")("incidents.whole_nation", scope="카드사")
    assert text.index(said) < text.index("결제 감소액 추정")


@pytest.mark.parametrize(("scope", "name", "told"), [("channel", "card", True), ("region", "부산광역시", False)])
def test_merchants_of_a_channel_s_incident_are_told_on_its_page_to_be_of_all_channels(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scope: str,
    name: str,
    told: bool,  # noqa: FBT001
) -> None:
    use(publish_incident(tmp_path, ONSET, ONSET + timedelta(hours=2), scope=scope, scope_name=name), monkeypatch)
    for language in LANGUAGES:
        _, text = shown("incidents", language)
        assert (texts_in(language)("hardest.all_channels") in text) == told


@pytest.mark.usefixtures("published")
def test_sliders_are_in_the_link_and_change_only_the_scenario() -> None:
    app, before = shown("incidents", "ko")
    lost = before.split("결제 감소액 추정")[1].split("90%")[0]
    app.slider(key="demand").set_value(2.0).run()
    assert app.query_params["demand"] in ("2", ["2"])
    assert words(app).split("결제 감소액 추정")[1].split("90%")[0] == lost
    _, again = shown("incidents", "ko", demand="2", sigma="50")
    assert again.split("가정을 바꾸어 보기")[1] != before.split("가정을 바꾸어 보기")[1]


SLIDERS = ("demand", "sigma", "unseen")


def assumed(app: AppTest) -> dict[str, float]:
    return {name: app.slider(key=name).value for name in SLIDERS}


@pytest.mark.usefixtures("published")
def test_another_incident_is_shown_under_its_own_assumptions_and_not_under_those_of_the_one_before() -> None:
    app, _ = shown("incidents", "ko")
    launch, (fresh, _) = assumed(app), shown("incidents", "ko", incident=EARLIER)
    assert assumed(fresh) != launch
    app.slider(key="unseen").set_value(40.0).run()
    app.selectbox(key="incident").set_value(EARLIER).run()
    assert assumed(app) == assumed(fresh)
    assert words(app).split("가정을 바꾸어 보기")[1] == words(fresh).split("가정을 바꾸어 보기")[1]
    assert not set(SLIDERS) & set(app.query_params)
    app.selectbox(key="incident").set_value(LAUNCH).run()
    assert assumed(app) == launch


@pytest.mark.usefixtures("published")
def test_a_link_that_brings_another_incident_sets_the_sliders_that_it_names_and_no_others() -> None:
    app, _ = shown("incidents", "ko", unseen="40", demand="2")
    app.query_params.update({"incident": EARLIER, "demand": "2"})
    app.query_params.pop("unseen")
    app.run()
    assert (assumed(app)["demand"], assumed(app)["unseen"]) == (2.0, 0.0)


@pytest.mark.parametrize("odd", ["x", "nan", "-5", "1e99"])
@pytest.mark.usefixtures("published")
def test_a_slider_in_the_link_that_is_no_such_number_is_brought_into_its_bounds(odd: str) -> None:
    app, _ = shown("incidents", "ko", demand=odd)
    assert 0.5 <= app.slider(key="demand").value <= 4.0


@pytest.mark.parametrize(
    ("language", "told", "paid"), [("ko", "이 날은 집계한 것이 없습니다", "결제되었습니다"), ("en", "Nothing was counted on that day", "were paid on")]
)
@pytest.mark.usefixtures("published")
def test_a_market_s_day_before_counting_began_is_no_day_without_sales(language: str, told: str, paid: str) -> None:
    _, before = shown("markets", language, market="M003", day="2025-01-17")
    assert told in before
    assert paid not in before
    _, first = shown("markets", language, market="M003", day="2025-01-18")
    assert told not in first
    assert paid in first
    _, off = shown("markets", language, market="M003", day="2025-02-20")
    assert told not in off


def test_a_market_s_past_losses_are_those_of_incidents_that_reached_it_however_many_others_came_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_incident(tmp_path, ONSET, None), monkeypatch)
    past = [(4, "market", "M002"), (5, "region", "대구광역시"), *((later, "region", "서울특별시") for later in range(6, 11))]
    told_of = [{"onset_at": datetime(2025, 2, day, 1), "scope": scope, "scope_name": name} for day, scope, name in past]
    replace_table(tmp_path, "incident", incident_rows(*told_of))
    told = {market: shown("markets", "ko", market=market)[1].split("지난 장애에서의 손실")[1] for market in ("M002", "M003")}
    assert [day for day in range(4, 11) if f"2월 {day}일 10:00" in told["M002"]] == [4, 5]
    assert "서울특별시" not in told["M002"]
    assert "이 시장에 미친 장애가 없습니다" in told["M003"]


def incident_rows(*told: dict[str, object]) -> pl.DataFrame:
    """Incidents that lasted three hours, each with what is told of it."""
    rows = []
    for number, given in enumerate(told):
        onset = given["onset_at"]
        assert isinstance(onset, datetime)
        times = {"detected_at": onset, **dict.fromkeys(("last_seen_at", "ended_at"), onset + timedelta(hours=3))}
        whole = {"incident_id": f"i{number}", "kind": "failure_rate", "scope": "nation", "scope_name": "", "peak_failure_rate": 0.5, "version": 1}
        rows.append({**whole, **times, **given})
    return pl.DataFrame(rows)


@pytest.mark.parametrize(("language", "before", "now"), [("ko", "2024년 2월 12일 10:00", "2월 4일 10:00"), ("en", "12 Feb 2024 10:00", "4 Feb 10:00")])
def test_an_incident_of_another_year_is_shown_with_its_year(language: str, before: str, now: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_incident(tmp_path, ONSET, None), monkeypatch)
    replace_table(tmp_path, "incident", incident_rows({"onset_at": datetime(2024, 2, 12, 1)}, {"onset_at": datetime(2025, 2, 4, 1)}))
    app, text = shown("incidents", language, incident="i0")
    options = app.selectbox(key="incident").options
    assert [option.split(" ·")[0] for option in options] == [now, before]
    assert text.count(before) >= 3  # the title, the course and the list
    assert before in shown("markets", language, market="M003")[1]
    assert before in shown("failures", language, span="i0")[1]


@pytest.mark.parametrize("again", [False, True])
def test_a_market_s_incident_is_called_by_the_market_s_name_and_by_its_id_only_beside(again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    use(publish_incident(tmp_path, ONSET, None, scope="market", scope_name="M002"), monkeypatch)
    if again:
        with open_snapshot(tmp_path) as snapshot:
            listed = snapshot.sql("FROM market")
        replace_table(tmp_path, "market", listed.with_columns(name=pl.when(market_id="M012").then(pl.lit("다온1시장")).otherwise("name")))
    called = "다온1시장 (M002)" if again else "다온1시장 ·"
    app, text = shown("incidents", "ko")
    assert f"시장 {called}" in app.selectbox(key="incident").options[0]
    assert f"시장 {called}" in text
    assert f"시장 {called}" in shown("live", "ko")[1]
    with open_snapshot(tmp_path) as snapshot:
        document = compose(gather(snapshot, tmp_path, "i", AuthorFiles()), "ko")
    assert f"시장 {called}" in dict(document.head)[texts_in("ko")("report.incident")]


def test_load_that_is_not_reported_makes_people_unknown_and_not_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path, load_reports=False), monkeypatch)
    _, text = shown("incidents", "ko")
    assert "막힌 계좌 등록 산출 불가" in " ".join(text.split())
    _, funnel = shown("failures", "ko")
    assert funnel.count("산출 불가: 플랫폼이 보고하지 않았습니다.") == 4
    assert "결제 단계의 성공과 승인된 결제는 다를 수 있습니다" in funnel


@pytest.mark.usefixtures("published")
def test_without_kafka_the_pages_say_that_they_only_show(monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = shown("incidents", "ko")
    assert "읽기 전용입니다" in text
    monkeypatch.setenv("ONNURI_KAFKA", "127.0.0.1:1")
    app, text = shown("incidents", "ko")
    assert "Kafka(127.0.0.1:1)에 연결되지 않습니다" in text
    assert not app.text_input


@pytest.mark.parametrize(
    ("language", "expected"), [("ko", ("결제 오류", "가람카드", "시간 초과", "잔액 부족", "계좌 등록")), ("en", ("Failures", "Timeout", "Registration"))]
)
@pytest.mark.usefixtures("published")
def test_the_failures_page_shows_issuers_codes_places_and_stages(language: str, expected: tuple[str, ...]) -> None:
    _, text = shown("failures", language)
    for words_of_page in expected:
        assert words_of_page in text


@pytest.mark.usefixtures("published")
def test_failures_during_an_incident_are_asked_by_the_link() -> None:
    app, text = shown("failures", "ko", span=EARLIER)
    assert app.selectbox(key="span").value == EARLIER
    assert "2월 12일 13:00부터 2월 12일 13:41까지" in text


@pytest.mark.parametrize(("scope", "name"), [("region", "부산광역시"), ("channel", "card"), ("market", "M005"), ("issuer", "가람카드"), ("nation", "")])
def test_failures_during_an_incident_are_those_of_its_scope_and_what_is_the_nation_s_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, name: str
) -> None:
    use(publish_incident(tmp_path, ONSET, ONSET + timedelta(hours=2), scope=scope, scope_name=name), monkeypatch)
    with open_snapshot(tmp_path) as snapshot:
        incident = known_incidents(snapshot)[0]
        span = {"start": ONSET, "end": ONSET + timedelta(hours=2)}
        counted = rates_of(snapshot.query("outcomes_by_place", **span, scope=scope, scope_name=name))
        nation = rates_of(snapshot.query("outcomes_by_place", **span, scope="nation", scope_name=""))
        found = failures_in(snapshot, *span.values(), scope=scope, scope_name=name)
    assert (counted == nation) == (scope in ("nation", "issuer"))
    # What is known by issuer adds up to the attempts told above it, or is the nation's and says so.
    assert rates_of(found.issuers) == (nation if found.issuers_of_nation else counted)
    assert found.issuers_of_nation == (scope in ("region", "market"))
    assert found.funnel[-1].attempts == nation.approved
    for language in LANGUAGES:
        texts = texts_in(language)
        _, text = shown("failures", language, span=incident.incident_id)
        assert texts("app.cases", number=count(counted.attempts)) in text
        assert (texts("failures.whole_nation") in text) == (scope == "issuer")
        assert text.count(texts("failures.of_nation")) == {"region": 4, "market": 4, "channel": 2}.get(scope, 0)


def test_issuers_and_codes_of_a_region_are_its_own_where_all_of_its_attempts_are_known_by_issuer(tmp_path: Path) -> None:
    publish_launch_day(tmp_path)
    with open_snapshot(tmp_path) as snapshot:
        seoul = snapshot.sql(
            "SELECT minute_at, channel, approved, declined, failed FROM market_minute JOIN market USING (market_id) WHERE region = '서울특별시'"
        )
        others = snapshot.sql("FROM issuer_minute")
    long = seoul.unpivot(on=["approved", "declined", "failed"], index=["minute_at", "channel"], variable_name="outcome", value_name="count")
    own = long.filter(pl.col("count") > 0).with_columns(issuer=pl.lit("가람카드"), region=pl.lit("서울특별시"), code=pl.lit("timeout"))
    other = others.with_columns(region=pl.lit("부산광역시"), issuer=pl.lit("나래은행"), code=pl.lit("network"))
    replace_table(tmp_path, "issuer_minute", pl.concat([own.select(sorted(own.columns)), other.select(sorted(own.columns))]))
    with open_snapshot(tmp_path) as snapshot:
        found = failures_in(snapshot, ONSET, ONSET + timedelta(hours=2), scope="region", scope_name="서울특별시")
    assert not found.issuers_of_nation
    assert found.issuers["name"].to_list() == ["가람카드"]
    assert set(found.codes["code"]) == {"timeout"}
    assert found.codes["attempts"].sum() == found.rates.declined + found.rates.failed


@pytest.mark.usefixtures("published")
def test_a_market_is_found_by_its_name_and_kept_in_the_link() -> None:
    app, text = shown("markets", "ko", q="라온 광주")
    assert app.selectbox(key="market").value == "M003"
    assert "라온1시장" in text
    assert "끝자리 2·7일에 섭니다" in text
    assert "지난 장애에서의 손실" in text
    assert app.query_params["market"] in ("M003", ["M003"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.usefixtures("published")
def test_what_a_launch_cost_a_market_is_told_with_its_condition(language: str) -> None:
    texts = texts_in(language)
    condition = texts("incidents.holds_as_before")
    _, text = shown("markets", language, market="M001")
    losses = text.split(texts("markets.losses"))[1]
    launch, earlier = losses.index(texts.named("scope", "nation")), losses.index("부산광역시")
    assert launch < losses.index(condition) < earlier
    assert losses.count(condition) == 1


@pytest.mark.parametrize(("scope", "name", "told"), [("issuer", "가람카드", True), ("service", "payment", True), ("channel", "card", False)])
def test_what_an_issuer_s_incident_cost_a_market_is_told_to_be_the_whole_market_s(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    scope: str,
    name: str,
    told: bool,  # noqa: FBT001
) -> None:
    onset = datetime(2025, 2, 12, 13, tzinfo=SEOUL)
    use(publish_incident(tmp_path, onset, onset + timedelta(hours=1), scope=scope, scope_name=name), monkeypatch)
    for language in LANGUAGES:
        texts = texts_in(language)
        _, text = shown("markets", language, market="M005")
        losses = text.split(texts("markets.losses"))[1]
        assert (texts("markets.whole_market", scope=texts.named("scope", scope).lower()) in losses) == told
        assert texts("markets.not_hit") not in losses


@pytest.mark.usefixtures("published")
def test_a_region_narrows_its_districts_and_markets() -> None:
    app, _ = shown("markets", "ko", region="부산광역시")
    assert len(app.selectbox(key="market").options) == 5
    assert app.selectbox(key="district").options == ["모든 시군구", "2구", "4구"]


@pytest.mark.usefixtures("published")
def test_a_search_that_finds_nothing_says_so() -> None:
    assert "조건에 맞는 시장이 없습니다" in shown("markets", "ko", q="없는시장")[1]


def test_a_day_of_the_past_that_a_backlog_has_not_reached_is_not_counted_as_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(publish_launch_day(tmp_path), monkeypatch)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    (tmp_path / "manifest.json").write_text(json.dumps(manifest | {"watermark": "2025-02-10T03:10:00+00:00"}), encoding="utf-8")
    _, text = shown("markets", "ko", market="M005", day="2025-02-11")
    assert "0원이 결제" not in text
    assert text.count("집계가 끝난 30분 구간이 아직 없습니다") == 2
    assert "과거 자료 부족" not in text
    _, text = shown("markets", "ko", market="M005", day="2025-02-10")
    assert "2025년 2월 10일 (월) 12:00까지" in text


@pytest.mark.usefixtures("published")
def test_a_day_of_the_past_is_shown_whole() -> None:
    app, text = shown("markets", "ko", market="M003", day="2025-02-12")
    assert "2025년 2월 12일 (수) 24:00까지" in text
    assert "00:00까지" not in text
    assert app.query_params["day"] in ("2025-02-12", ["2025-02-12"])


@pytest.mark.usefixtures("published")
def test_every_table_that_is_listed_has_a_meaning() -> None:
    app, text = shown("data", "ko")
    assert "market_minute" in text
    for table in app.selectbox(key="table").options:
        name, _, meaning = table.partition(" — ")
        assert meaning not in ("", name)


def test_every_column_that_can_be_published_has_a_meaning() -> None:
    tables = [*SMALL_TABLES, *HOURLY, "merchant_day"]
    found = open_memory().execute("SELECT DISTINCT column_name FROM information_schema.columns WHERE list_contains($tables, table_name)", {"tables": tables})
    meanings = {key.removeprefix("column.") for key in texts_in("ko").entries if key.startswith("column.")}
    assert {name for (name,) in found.fetchall()} == meanings
    assert set(tables) == {key.removeprefix("dictionary.") for key in texts_in("ko").entries if key.startswith("dictionary.")}


@pytest.mark.usefixtures("published")
def test_a_statement_in_the_link_is_answered_and_can_be_taken_away() -> None:
    app, text = shown("data", "en", part="sql", sql="SELECT count(*) AS markets FROM market")
    assert app.dataframe[0].value["markets"].to_list() == [30]
    assert len(app.get("download_button")) == 3
    assert "Rows: 1, columns: 1" in text


@pytest.mark.usefixtures("published")
def test_published_files_that_cannot_be_read_are_told_where_a_statement_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreadable(*_: object, **__: object) -> None:
        raise ManifestError("The published files cannot be read: gone.")

    monkeypatch.setattr(data, "answered", unreadable)
    app, text = shown("data", "en", part="sql", sql="SELECT 1")
    assert "The published files cannot be read: gone." in text
    assert not app.exception


@pytest.mark.usefixtures("published")
def test_a_statement_that_is_refused_says_why() -> None:
    app, text = shown("data", "ko", part="sql", sql="DELETE FROM market")
    assert "답할 수 없습니다" in text
    assert not app.dataframe


@pytest.mark.usefixtures("published")
def test_asking_a_table_leads_to_its_statement() -> None:
    app, _ = shown("data", "ko", table="incident")
    app.button[0].click().run()
    assert app.text_area(key="sql").value == 'SELECT * FROM "incident" LIMIT 1000'
    assert app.query_params["part"] in ("sql", ["sql"])


def test_the_method_page_needs_no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path, monkeypatch)
    assert "기대 결제액은 같은 종류의 날을" in shown("data", "ko", part="method")[1]
