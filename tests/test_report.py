"""The loss report: one document in three forms, from one published state, the same to the byte."""

import io
import json
import re
import sys
import unicodedata
import zipfile
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET

import polars as pl
import pytest
from pypdf import PdfReader

from dashboard.figures.incidents import Purchases, incident_figures, known_incidents
from dashboard.formatting import duration, won
from dashboard.report import __main__ as command
from dashboard.report.author import NAMES, AuthorError, AuthorFiles, Rule, read_author
from dashboard.report.composing import compose
from dashboard.report.document import Block, Bullets, Cell, Code, Figures, Notice, Paragraph, Picture, Section, Table
from dashboard.report.gathering import Report, gather
from dashboard.report.html import write_html
from dashboard.report.pdf import write_pdf
from dashboard.report.writing import Written, issued, write_report
from dashboard.report.xlsx import _sheet_name, write_xlsx
from dashboard.texts import texts_in
from dashboard.views.incidents import lost_figure
from tests.dashboard_data import EARLIER, LAUNCH, ONSET, SEOUL, count_until, publish_incident, publish_launch_day, replace_table
from tests.verapdf import refusals
from warehouse.commands import parse
from warehouse.reading import NotKnownError, open_snapshot

EXAMPLE = Path(__file__).parents[1] / "docs" / "report-example"
MARKET = "가람1시장"
SECTIONS = 18


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("report"), published_at=datetime(2025, 3, 1, 20, 0, 1, 5, tzinfo=SEOUL))


@pytest.fixture(scope="module")
def report(published: Path) -> Report:
    with open_snapshot(published) as snapshot:
        return gather(snapshot, published, LAUNCH, read_author(EXAMPLE))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on twenty minutes of an ordinary day that a person declared an outage."""
    onset, end = datetime(2025, 2, 13, 12, 5, tzinfo=SEOUL), datetime(2025, 2, 13, 12, 25, tzinfo=SEOUL)
    folder = publish_incident(tmp_path_factory.mktemp("quiet"), onset, end, kind="declared", declared_by="김 주무관")
    with open_snapshot(folder) as snapshot:
        return gather(snapshot, folder, "i", AuthorFiles())


@pytest.fixture(scope="module")
def written(published: Path) -> dict[str, Written]:
    return {language: write_report(published, LAUNCH, read_author(EXAMPLE), language) for language in ("ko", "en")}


def pdf_text(pdf: bytes) -> str:
    """The words of a PDF, with single blanks."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages).split())


def text_of(block: Block) -> str:
    """What a block says in words, with single blanks."""
    said = block.text if isinstance(block, Paragraph | Notice) else block.sentence if isinstance(block, Picture) else ""
    return " ".join(said.replace("\N{NO-BREAK SPACE}", " ").split())


def html_text(html: bytes) -> str:
    body = re.sub(r"<style>.*?</style>", " ", html.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def renamed(report: Report, name: str) -> Report:
    """The same report where the market that lost most is called ``name``."""
    markets = report.markets.with_columns(name=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit(name)).otherwise("name"))
    return Report(**{**report.__dict__, "markets": markets})


def test_the_same_inputs_give_the_same_bytes(published, written):
    again = write_report(published, LAUNCH, read_author(EXAMPLE), "ko")
    assert {form: again.files[form] == content for form, content in written["ko"].files.items()} == dict.fromkeys(("pdf", "html", "xlsx"), True)
    assert again.report.provenance.inputs == written["ko"].report.provenance.inputs


def test_another_input_gives_another_hash(published, report, tmp_path):
    with open_snapshot(published) as snapshot:
        without = gather(snapshot, published, LAUNCH, AuthorFiles())
    later = publish_launch_day(tmp_path, clock=datetime(2025, 3, 1, 20, 1, tzinfo=SEOUL))
    with open_snapshot(later) as snapshot:
        newer = gather(snapshot, later, LAUNCH, read_author(EXAMPLE))
    assert len({found.provenance.inputs for found in (report, without, newer)}) == 3


def test_figures_are_those_of_the_dashboard(published, written):
    with open_snapshot(published) as snapshot:
        shown = incident_figures(snapshot, next(one for one in known_incidents(snapshot) if one.incident_id == LAUNCH))
    assert shown.loss is not None
    for language, found in written.items():
        amounts = [won(amount, language) for amount in (shown.loss.lost, shown.loss.low, shown.loss.high, shown.loss.expected, shown.loss.observed)]
        for text in (pdf_text(found.files["pdf"]), html_text(found.files["html"])):
            assert [amount for amount in amounts if amount not in text.replace("\N{NO-BREAK SPACE}", " ")] == []


def test_the_pdf_says_in_searchable_korean_what_the_html_says(written):
    pdf, html = pdf_text(written["ko"].files["pdf"]), html_text(written["ko"].files["html"])
    for sentence in (
        "출범 직후여서 수요를 알 수 없으므로",
        "통합 부하 시험을 출범 전 의무로 한다",
        "구매자가 지류·카드·현금으로 같은 가맹점에서 얼마나 대신 샀는지는",
    ):
        assert sentence in html
        assert sentence.replace(" ", "") in pdf.replace(" ", "")


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_pdf_is_tagged_names_its_language_and_holds_its_fonts(written, language):
    reader = PdfReader(io.BytesIO(written[language].files["pdf"]))
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in root
    assert str(root["/Lang"]).startswith(language)
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    fonts = [font.get_object() for page in reader.pages for font in page["/Resources"].get("/Font", {}).values()]
    descriptors = [font["/DescendantFonts"][0].get_object()["/FontDescriptor"].get_object() for font in fonts]
    assert descriptors
    assert all("/FontFile3" in descriptor or "/FontFile2" in descriptor for descriptor in descriptors)
    assert {str(font["/BaseFont"]).split("+")[1].split("-")[0] for font in fonts} == {"NotoSansKR"}


def test_the_pdf_conforms_to_pdf_ua_1(written, tmp_path):
    files = []
    for language, found in written.items():
        files.append(tmp_path / f"{language}.pdf")
        files[-1].write_bytes(found.files["pdf"])
    assert refusals(files) == []


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_part_has_its_title_and_is_not_empty(report, language):
    document = compose(report, language)
    assert len(document.numbered) == SECTIONS
    assert [part.title for _, part in document.numbered if not part.title or not part.blocks] == []
    titles = [part.title for _, part in document.numbered]
    assert len(set(titles)) == SECTIONS


def test_what_the_author_keeps_is_in_the_report_with_how_it_is_known(written):
    text = html_text(written["ko"].files["html"])
    for said in ("측정", "보고", "추정", "플랫폼 운영팀", "2025-04-30", "검토안 나", "누리집에 첫 공지"):
        assert said in text


def test_compensation_is_the_rate_on_the_report_s_own_figures_up_to_its_cap(report):
    def paid(base: str, rate: float, cap: int | None = None) -> list[object]:
        author = AuthorFiles(rules=[Rule("rule", "merchants", base, rate, "source", cap)])
        table = next(table for table in compose(Report(**{**report.__dict__, "author": author}), "ko").tables if table.name == "compensation")
        return [table.rows[0][5].value, table.rows[0][5].text]

    people, loss, ladder = report.figures.people, report.figures.loss, report.figures.ladder()
    assert loss is not None
    assert ladder is not None
    # The service has just launched: a rate on a range is a range.
    assert paid("gross", 0.5) == [None, "구간만"]
    assert replace(report.figures, account=replace(report.figures.account, launch=None)).shortfall.value == loss.lost
    usual = replace(report, figures=replace(report.figures, account=replace(report.figures.account, launch=None)))
    rules = AuthorFiles(rules=[Rule("rule", "merchants", "gross", 0.5, "source", None)])
    table = next(table for table in compose(replace(usual, author=rules), "ko").tables if table.name == "compensation")
    assert table.rows[0][5].value == round(loss.lost * 0.5)
    assert paid("given_up", 3_000)[0] == people.given_up * 3_000
    assert paid("given_up", 3_000, 5_000_000)[0] == 5_000_000
    # Nobody knows the buyers of the test's data, so nothing is known of what they made up later.
    assert ladder.back is None
    assert paid("net", 0.1) == [None, "산출 불가"]


@pytest.mark.parametrize(
    ("language", "told", "range_told"),
    [
        ("ko", "기대 결제액 8,618만 원보다 221만 원(2.6%) 많았습니다", "−637만 원 ~ 282만 원 가운데 어느 값일 수"),
        ("en", "KRW 2.2 million (2.6%) more than the KRW 86.2 million expected", "anything from −KRW 6.4 million to KRW 2.8 million"),
    ],
)
def test_where_more_was_paid_than_expected_no_loss_is_told(quiet, language, told, range_told):
    chance, negative = (texts_in(language)(f"incidents.{name}") for name in ("chance", "negative"))
    parts = {part.title: [text_of(block) for block in part.blocks] for _, part in compose(quiet, language).numbered}
    finding, money = (parts[texts_in(language)(f"report_{part}.title")] for part in ("finding", "waterfall"))
    assert told in finding[0]
    assert chance in finding[0]
    assert range_told in " ".join(money)
    assert [chance in said for said in money[:2]] == [True, True]
    assert (negative in finding, negative in money) == (True, True)
    assert not [said for said in (finding[0], *money[:2]) if re.search(r"(가운데|of|감소액은) −", said)]


@pytest.fixture(scope="module", params=[("region", "부산광역시"), ("market", "M003"), ("channel", "card"), ("issuer", "가람카드")], ids=lambda scope: scope[0])
def partial(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report on an outage of the launch day that was not the whole nation's."""
    scope, name = request.param
    folder = publish_incident(tmp_path_factory.mktemp(scope), ONSET, ONSET.replace(hour=18, minute=31), scope=scope, scope_name=name)
    with open_snapshot(folder) as snapshot:
        return gather(snapshot, folder, "i", AuthorFiles())


@pytest.mark.parametrize("language", ["ko", "en"])
def test_what_is_reported_for_the_nation_alone_is_left_out_of_a_narrower_scope_or_named_the_nation_s(partial, language):
    texts, document = texts_in(language), compose(partial, language)
    parts = {part.title: part.blocks for _, part in document.numbered}
    harm = parts[texts("report_harm.title")]
    queue = next(block for block in harm if isinstance(block, Picture))
    assert queue.title == texts("report_scope.nationwide", what=texts("live.queue_chart"))
    assert texts("report_scope.of_nation").strip() in queue.sentence
    told = [text_of(block) for block in harm]
    assert texts("report_harm.national") in told
    assert texts("report_harm.no_load") not in told
    assert texts("app.not_available") not in " ".join(told)
    table = next(table for table in document.tables if table.name == "harm")
    assert [row[1].text for row in table.rows if row[1].value is None] == []
    figures = next(block for block in parts[texts("report_finding.title")] if isinstance(block, Figures))
    assert not [what for what, _, _ in figures.shown if texts("report_finding.waited") in what]
    attempts = partial.figures.rates.attempts
    assert {sum(row[1].value for row in table.rows) for table in document.tables if table.name.startswith("attempts_by")} <= {attempts}


@pytest.mark.parametrize("language", ["ko", "en"])
def test_figures_of_the_whole_nation_are_told_as_such_where_sales_are_not_counted_by_the_scope(partial, language):
    texts, incident = texts_in(language), partial.figures.incident
    of_nation, notice = texts("report_scope.of_nation"), texts("incidents.whole_nation", scope=texts.named("scope", incident.scope).lower())
    parts = {part.title: part.blocks for _, part in compose(partial, language).numbered}
    for name in ("finding", "scope", "waterfall", "methods", "places", "harm"):
        assert (notice in [text_of(block) for block in parts[texts(f"report_{name}.title")]]) == (not incident.sales_known), name
    sentence = next(block.text for block in parts[texts("report_finding.title")] if isinstance(block, Paragraph))
    assert (of_nation in sentence) == (not incident.sales_known)
    figures = next(block for block in parts[texts("report_finding.title")] if isinstance(block, Figures))
    assert {what.endswith(texts("report_scope.nationwide", what="")) for what, _, _ in figures.shown} == {not incident.sales_known}


@pytest.mark.parametrize(("scope", "name", "told"), [("channel", "card", True), ("region", "부산광역시", False), ("nation", "", False)])
def test_merchants_of_a_channel_s_incident_are_told_to_be_of_all_channels(tmp_path, scope, name, told):
    publish_incident(tmp_path, ONSET, ONSET + timedelta(hours=2), scope=scope, scope_name=name)
    with open_snapshot(tmp_path) as snapshot:
        found = gather(snapshot, tmp_path, known_incidents(snapshot)[0].incident_id, AuthorFiles())
    for language in ("ko", "en"):
        document, said = compose(found, language), texts_in(language)("hardest.all_channels")
        merchants = next(table for table in document.tables if table.name == "merchants")
        assert (said in merchants.note) == told
        book = zipfile.ZipFile(io.BytesIO(write_xlsx(document)))
        assert (said in book.read("xl/sharedStrings.xml").decode()) == told


@pytest.mark.parametrize(
    ("language", "same", "others"),
    [("ko", "같은 구매 번호로 결제된", r"비슷한 다른 구매자|재방문"), ("en", "under the same purchase number", "others like|visits")],
)
def test_the_report_describes_the_net_that_it_has(report, language, same, others):
    said = [texts_in(language)(key) for key in ("report_waterfall.made_up_how", "report_method.net")]
    assert [same in sentence for sentence in said] == [True] * 2
    document = compose(report, language)
    written = " ".join(text_of(block) for _, part in document.numbered for block in part.blocks)
    assert same in written
    assert not re.search(others, written + " ".join(said))


@pytest.mark.parametrize(
    ("language", "told"), [("ko", "취소되었고, 승인된 금액의 0.4%입니다(평상시 0.4%)"), ("en", "0.4% of what was approved (ordinarily 0.4%)")]
)
def test_the_report_says_what_was_taken_back_and_that_the_gross_is_of_approvals(report, language, told):
    parts = {part.title: [text_of(block) for block in part.blocks] for _, part in compose(report, language).numbered}
    texts = texts_in(language)
    assert any(told in said for said in parts[texts("report_waterfall.title")])
    assert texts("report_method.gross") in parts[texts("report_method.title")]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_report_says_what_of_a_topic_that_was_made_anew_was_never_read(report, language):
    lost = {"topic": "payments", "partition": 3, "from_offset": 812_345, "to_offset": 0, "cause": "topic made anew", "found_at": None}
    made_anew = replace(report.provenance, manifest=replace(report.provenance.manifest, lost_ranges=[lost]))
    document = compose(Report(**{**report.__dict__, "provenance": made_anew}), language)
    (part,) = [part for _, part in document.numbered if part.title == texts_in(language)("report_unknown.title")]
    (said,) = [block for block in part.blocks if isinstance(block, Bullets)]
    assert any("payments/3" in str(item) and "812,345" in str(item) for item in said.texts)


@pytest.mark.parametrize(
    ("base", "rate", "told"),
    [
        ("failed_amount", 0.004, "0.4%"),
        ("failed_amount", 0.125, "12.5%"),
        ("failed_amount", 0.3, "30%"),
        ("failed_amount", 1.0, "100%"),
        ("given_up", 2.5, "2.5원"),
        ("given_up", 1_234_567.0, "1,234,567원"),
        ("buyers", 3_000.0, "3,000원"),
    ],
)
def test_a_rate_is_told_to_its_last_digit(report, base, rate, told):
    assert compensated(report, Rule("rule", "buyers", base, rate, "source"))[3].text == told


def test_a_cap_that_both_ends_of_a_range_reach_is_the_amount(report):
    row = compensated(report, Rule("rule", "merchants", "gross", 0.3, "source", 100_000_000))
    assert (row[5].value, row[5].text, row[6].text) == (100_000_000, "1억\N{NO-BREAK SPACE}원", "")


@pytest.mark.parametrize(("language", "head", "none"), [("ko", "한도", "없음"), ("en", "Cap", "none")])
def test_a_rule_s_cap_stands_beside_what_it_pays(report, language, head, none):
    rules = [Rule("a", "buyers", "given_up", 3_000, "source", cap) for cap in (1_000_000, None)]
    table = next(table for table in compose(replace(report, author=AuthorFiles(rules=rules)), language).tables if table.name == "compensation")
    capped, free = ([row[table.columns.index(head)], row[table.columns.index(head) + 1]] for row in table.rows)
    assert (capped[0].value, capped[1].value) == (1_000_000, 1_000_000)
    assert (free[0].text, free[1].value) == (none, report.figures.people.given_up * 3_000)


def compensated(report: Report, rule: Rule) -> list[Cell]:
    document = compose(replace(report, author=AuthorFiles(rules=[rule])), "ko")
    return next(table for table in document.tables if table.name == "compensation").rows[0]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_report_says_why_there_is_no_net_and_how_far_the_wider_window_reaches(report, quiet, language):
    texts = texts_in(language)
    for found, why, padded in ((report, "open", "padded_before"), (quiet, "few", "padded")):
        document = compose(found, language)
        money = next(part for _, part in document.numbered if part.title == texts("report_waterfall.title"))
        assert texts(f"ladder.made_up_{why}") in [text_of(block) for block in money.blocks]
        methods = next(table for table in document.tables if table.name == "methods")
        assert texts(f"report_methods.{padded}") in [row[0].text for row in methods.rows]


@pytest.mark.parametrize(("language", "weighed"), [("ko", "장애 전의 결제를 감안"), ("en", "weighed by what was paid before")])
def test_the_range_of_a_launch_is_told_with_what_narrows_it(report, language, weighed):
    # Each factor alone may lie far outside of the range: the table beside it shows so.
    launch = report.figures.launch
    assert launch.at(launch.factor_high)[0] > launch.high
    said = [text_of(block) for _, part in compose(report, language).numbered for block in part.blocks]
    ends = [won(end, language) for end in (launch.low, launch.high)]
    level = {"ko": "90% 추정구간", "en": "90% interval"}[language]
    telling = [sentence for sentence in said if all(end in sentence for end in ends) and "4" in sentence.split(ends[0])[0]]
    assert len([sentence for sentence in telling if weighed in sentence and level in sentence]) == 2
    method = next(part for _, part in compose(report, language).numbered if part.title == texts_in(language)("report_method.title"))
    assert [level in text_of(block) and "Launch day" in text_of(block) for block in method.blocks].count(True) == 1


@pytest.mark.parametrize("language", ["ko", "en"])
def test_a_warning_and_its_detail_are_two_sentences(report, language):
    texts = texts_in(language)
    said = [text_of(block) for _, part in compose(report, language).numbered for block in part.blocks]
    assert f"{texts('ahead.no_capacity')}. {texts('ahead.no_capacity_detail')}" in said


@pytest.mark.parametrize(("language", "rest", "all_of_them"), [("ko", "나머지", "모두 나중에 성공"), ("en", "the others", "All of the 10")])
def test_where_every_failed_purchase_succeeded_later_no_others_are_told_of(quiet, language, rest, all_of_them):
    for recovered, expected in ((10, (False, True)), (9, (True, False))):
        bought = Purchases(10, recovered, 12, 100_000, 10_000 * recovered, 10_000 * (10 - recovered))
        found = compose(replace(quiet, figures=replace(quiet.figures, purchases=bought)), language)
        harm = next(part for part in found.sections if part.title == texts_in(language)("report_harm.title"))
        said = " ".join(text_of(block) for block in harm.blocks)
        assert (rest in said, all_of_them in said) == expected


@pytest.mark.parametrize(("language", "never", "not_yet"), [("ko", "해당 없음", "아직"), ("en", "not reached", "not yet")])
def test_a_limit_has_a_time_only_where_it_was_reached(tmp_path, language, never, not_yet):
    def limits(end: datetime | None, seen: datetime) -> list[tuple[str, bool]]:
        publish_incident(tmp_path, ONSET, end, last_seen_at=seen.astimezone(UTC).replace(tzinfo=None))
        with open_snapshot(tmp_path) as snapshot:
            document = compose(gather(snapshot, tmp_path, "i", AuthorFiles()), language)
        return [(row[1].text, row[1].value is not None) for table in document.tables if table.name == "limits" for row in table.rows]

    minutes = [timedelta(minutes=minutes) for minutes in (5, 12)]
    assert limits(ONSET + minutes[0], ONSET + minutes[0]) == [(never, False)] * 3
    (ten, timed), *later = limits(None, ONSET + minutes[1])
    assert (ten.endswith("10:14"), timed, later) == (True, True, [(not_yet, False)] * 2)


@pytest.mark.parametrize(("language", "zone"), [("ko", "대한민국 표준시(UTC+9)"), ("en", "Korea Standard Time (UTC+9)")])
def test_the_report_says_whose_times_it_tells_in_every_form(report, language, zone):
    document = compose(report, language)
    assert zone in [value for _, value in document.head]
    assert zone in html_text(write_html(document))
    with zipfile.ZipFile(io.BytesIO(write_xlsx(document))) as book:
        shared = [" ".join(one.itertext()) for one in ET.fromstring(book.read("xl/sharedStrings.xml"))]
        sheets = [ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml")) for number in range(2, len(document.tables) + 2)]
    noted = [" ".join(shared[int(cell.findtext("{*}v"))] for cell in sheet.iterfind(".//{*}c") if cell.get("t") == "s") for sheet in sheets]
    timed = [any(cell.kind == "time" for row in table.rows for cell in row) for table in document.tables]
    assert any(timed)
    assert [zone in said for said in noted] == timed


def course_of(report: Report) -> list[list[str]]:
    table = next(table for table in compose(report, "ko").tables if table.name == "course")
    return [[row[1].text, row[3].text, row[4].text] for row in table.rows]


def test_times_that_a_person_gave_are_reported_by_that_person_and_not_measured(quiet, tmp_path):
    by = "김 주무관 님이 입력한 시각"
    assert course_of(quiet) == [
        ["장애 시작", "보고", by],
        ["등록", "보고", by],
        ["실패율 최고", "측정", "10분 단위 실패율"],
        ["종료", "보고", by],
        ["첫 공지", "", "점검 공지 기록"],
    ]
    folder = publish_incident(tmp_path, ONSET, ONSET.replace(hour=11), evidence='{"level": 1, "corrected": {"ended_at": "이 분석관"}}')
    with open_snapshot(folder) as snapshot:
        corrected = course_of(gather(snapshot, folder, "i", AuthorFiles()))
    assert [row for row in corrected if row[0] in ("장애 시작", "자동 탐지", "종료")] == [
        ["장애 시작", "측정", "결제 기록의 변화 시점"],
        ["자동 탐지", "측정", "탐지 기록"],
        ["종료", "보고", "이 분석관 님이 입력한 시각"],
    ]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_whoever_asks_with_the_spans_that_are_stated_gets_the_report_s_figures(report, published, language):
    texts, figures = texts_in(language), report.figures
    blocks = {part.title: part.blocks for _, part in compose(report, language).numbered}[texts("report_origin.title")]
    spans: dict[str, dict[str, object]] = {}
    for block in blocks:
        if isinstance(block, Paragraph):
            stated = dict(re.findall(r"\b(start|end) = (\d\S+?)[,.]?(?= |$)", block.text))
        elif isinstance(block, Code) and stated:
            spans[block.title.removesuffix(".sql")] = {name: datetime.fromisoformat(at) for name, at in stated.items()}
    with open_snapshot(published) as snapshot:

        def asked(name: str) -> pl.DataFrame:
            return snapshot.query(name, **spans[name], scope=figures.incident.scope, scope_name=figures.incident.scope_name)

        assert asked("failed_purchases_in_span")["purchases"].item() == figures.purchases.purchases
        assert asked("people_in_span")["buyers"].item() == figures.people.buyers
        assert asked("outcomes_by_place")["failed"].sum() == report.outcomes["failed"].sum()
        waited = snapshot.query("services_in_span", **spans["services_in_span"]).filter(service="queue")["waited_minutes"].item()
        assert waited / 60 == figures.people.hours_waited
    assert spans["sales_by_market_and_step"] == {"start": figures.start, "end": figures.end}


@pytest.mark.parametrize(
    ("language", "told"), [("ko", "결제 감소액은 2025년 3월 1일 (토) 19:50까지"), ("en", "the shortfall as counted until Sat 1 Mar 2025 19:50")]
)
def test_the_end_of_the_estimate_of_an_open_incident_is_not_told_of_purchases_that_were_counted_further(report, language, told):
    finding = compose(report, language).sections[0]
    assert told in text_of(finding.blocks[0])
    assert report.figures.until == report.provenance.manifest.now > report.figures.end


@pytest.mark.parametrize(
    ("language", "whole", "cut"),
    [
        ("ko", "장애 시작부터 종료까지의 추정치입니다", ("17:57에 끝났으나", "17:50까지")),
        ("en", r"from onset to end", ("ended at .{0,20}17:57", "until .{0,20}17:50")),
    ],
)
def test_page_and_report_tell_an_incident_that_is_counted_in_part_as_provisional(tmp_path, language, whole, cut):
    publish_incident(tmp_path, ONSET, ONSET.replace(hour=17, minute=57))
    texts = texts_in(language)
    for watermark, partly in ((ONSET.replace(hour=18, minute=0), False), (ONSET.replace(hour=17, minute=59), True)):
        with open_snapshot(count_until(tmp_path, watermark)) as snapshot:
            found = gather(snapshot, tmp_path, "i", AuthorFiles())
        assert found.figures.loss is not None
        document = compose(found, language)
        on_page = " ".join(lost_figure(found.figures, found.figures.loss, texts).notes)
        for said in (text_of(document.sections[0].blocks[0]), on_page):
            assert bool(re.search(whole, said)) != partly
            assert [bool(re.search(one, said)) for one in cut] == [partly, partly]
        unknown = next(part for part in document.sections if part.title == texts("report_unknown.title"))
        warned = max(texts("remark.window_cut", until="|").split("|"), key=len)
        assert any(warned in said for block in unknown.blocks if isinstance(block, Bullets) for said in block.texts) == partly


@pytest.mark.parametrize(("language", "goes_on", "past"), [("ko", "진행 중입니다", "있었습니다"), ("en", "an outage began on", "and lasted")])
def test_an_open_incident_goes_on_in_the_report_and_as_long_as_the_page_says(report, tmp_path, language, goes_on, past):
    seen = report.figures.incident.last_seen_at
    assert report.figures.end < seen
    said = text_of(compose(report, language).sections[0].blocks[0])
    assert goes_on in said and past not in said
    assert duration(seen - ONSET, language) in said
    publish_incident(tmp_path, ONSET, None)
    with open_snapshot(tmp_path) as snapshot:
        begun = text_of(compose(gather(snapshot, tmp_path, "i", AuthorFiles()), language).sections[0].blocks[0])
    assert goes_on in begun
    assert duration(timedelta(0), language) not in begun


@pytest.mark.parametrize("language", ["ko", "en"])
def test_one_time_of_the_data_is_told_also_where_a_backlog_waits(tmp_path, language):
    published = publish_launch_day(tmp_path, ended_at=datetime(2025, 3, 1, 18, 0, tzinfo=SEOUL))
    manifest = json.loads((published / "manifest.json").read_text())
    behind = {"watermark": datetime(2025, 3, 1, 19, 10, tzinfo=SEOUL).isoformat(), "lag": 250_000}
    (published / "manifest.json").write_text(json.dumps({**manifest, **behind}))
    with open_snapshot(published) as snapshot:
        document = compose(gather(snapshot, published, LAUNCH, AuthorFiles()), language)
    texts = texts_in(language)
    parts = {part.title: " ".join(text_of(block) for block in part.blocks) for _, part in document.numbered}
    as_of = dict(document.head)[texts("report.as_of")]
    assert as_of.endswith("19:10")
    assert [as_of in parts[texts(f"report_{name}.title")] for name in ("revisions", "quality")] == [True, True]
    origin = {row[0].text: row[1].text for table in document.tables if table.name == "origin" for row in table.rows}
    assert origin[texts("report.as_of")] == as_of
    assert {what for what, told in origin.items() if told.endswith("20:00")} == {texts("report_origin.now")}


def test_parts_add_up_to_the_whole(report):
    loss = report.figures.loss
    assert loss is not None
    for parts in (report.regions, report.markets, report.sizes):
        assert parts["lost"].sum() == pytest.approx(loss.lost, abs=len(parts))


def test_the_workbook_has_every_market_as_numbers_and_no_formula(report):
    book = zipfile.ZipFile(io.BytesIO(write_xlsx(compose(renamed(report, '=HYPERLINK("http://127.0.0.1")'), "ko"))))
    strings = book.read("xl/sharedStrings.xml").decode()
    heads = replace(compose(report, "ko"), sections=[Section("t", [Table("t", "t", ["=1+1"], [[Cell("x")]])])])
    assert ">'=1+1<" in zipfile.ZipFile(io.BytesIO(write_xlsx(heads))).read("xl/sharedStrings.xml").decode()
    sheets = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
    assert "'=HYPERLINK" in strings
    assert ">=HYPERLINK" not in strings
    assert [sheet for sheet in sheets if "<f>" in sheet] == []
    assert max(sheet.count("<row ") for sheet in sheets) >= len(report.markets)
    assert str(round(report.markets["lost"][0])) in "".join(sheets)


@pytest.mark.parametrize(
    ("language", "text", "money", "low", "high"),
    [("ko", "본문", "금액(원)", "하한(원)", "상한(원)"), ("en", "Text", "Amount (KRW)", "Low (KRW)", "High (KRW)")],
)
def test_the_workbook_has_ends_and_claims_as_numbers_under_heads_with_their_unit(tmp_path, language, text, money, low, high):
    publish_incident(tmp_path, ONSET, ONSET + timedelta(hours=2))
    claimed = {"source": "어느 협회", "amount": 123_456_789, "incident_id": "i", "claimed_at": datetime(2025, 3, 2), "note": ""}
    replace_table(tmp_path, "claim", pl.DataFrame([claimed]))
    with open_snapshot(tmp_path) as snapshot:
        found = gather(snapshot, tmp_path, "i", AuthorFiles())
    document = compose(found, language)
    shortfall = found.figures.shortfall
    assert shortfall is not None
    book = zipfile.ZipFile(io.BytesIO(write_xlsx(document)))
    assert f'name="{text}"' in book.read("xl/workbook.xml").decode()
    sheets = {table.name: sheet_of(book, number) for number, table in enumerate(document.tables, 2)}
    head, *rows = sheets["waterfall"]
    gross = dict(zip(head, next(row for row in rows if row[0] == texts_in(language)("report_waterfall.gross")), strict=True))
    assert (gross[low], gross[high]) == (round(shortfall.low), round(shortfall.high))
    claims = [row for row in sheets["evidence"] if "어느 협회" in row]
    assert [123_456_789 in row for row in claims] == [True]
    assert money in sheets["evidence"][0]
    assert {low, high} <= set(sheets["loss_by_region"][0])
    assert "\N{NO-BREAK SPACE}" not in book.read("xl/sharedStrings.xml").decode()


def test_on_a_launch_the_ladder_s_and_the_sensitivities_ranges_are_numbers_in_the_workbook(report):
    document = compose(report, "ko")
    book = zipfile.ZipFile(io.BytesIO(write_xlsx(document)))
    sheets = {table.name: sheet_of(book, number) for number, table in enumerate(document.tables, 2)}
    assert report.figures.launch is not None
    for name, low, first in (
        ("waterfall", "하한(원)", texts_in("ko")("report_waterfall.gross")),
        ("sensitivity", "결제 감소액: 하한(원)", texts_in("ko")("report_methods.assume_plain")),
    ):
        head, *rows = sheets[name]
        assert round(report.figures.launch.low) == dict(zip(head, next(row for row in rows if row[0] == first), strict=True))[low]


def test_a_report_on_no_incident_names_the_five_newest(tmp_path):
    publish_incident(tmp_path, ONSET, None)
    rows = [{"incident_id": f"i{day:02}", "onset_at": datetime(2025, 1, day), "kind": "declared", "scope": "nation", "scope_name": ""} for day in range(1, 9)]
    replace_table(tmp_path, "incident", pl.DataFrame(rows))
    with open_snapshot(tmp_path) as snapshot, pytest.raises(NotKnownError, match=r"The newest: i08, i07, i06, i05, i04\. List them with: onnuri incidents"):
        gather(snapshot, tmp_path, "nope", AuthorFiles())


@pytest.mark.parametrize("language", ["ko", "en"])
def test_no_name_of_a_method_is_cut_in_the_chart_of_a_launch(report, language):
    words = texts_in(language)
    pictures = [block for _, part in compose(report, language).numbered for block in part.blocks if isinstance(block, Picture)]
    drawn = next(picture for picture in pictures if picture.title == words("report_methods.chart"))
    assert report.figures.launch is not None
    assert words("methods.as_before") in drawn.svg
    assert "…" not in drawn.svg
    for name in ("launch", "padded_before"):
        assert [word for word in words(f"report_methods.{name}").split() if f"{word}<" not in drawn.svg.replace(" ", "<")] == [], name


def test_no_amount_breaks_within_a_line_of_the_pdf(report):
    amounts = {"가": "14억 5,251만 원 ~ 29억 5,469만 원", "a": "KRW 1,452.5 million to KRW 2,954.7 million"}
    shown = [Paragraph(f"{letter * n} {amount}") for letter, amount in amounts.items() for n in range(30, 110)]
    document = replace(compose(report, "ko"), sections=[Section("t", shown), Section("u", [Figures([("t", amounts["가"], "")])])], appendix=[])
    lines = "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(write_pdf(document))).pages)
    whole = ["14억 5,251만 원", "29억 5,469만 원", "KRW 1,452.5 million", "KRW 2,954.7 million"]
    assert [lines.replace("\N{NO-BREAK SPACE}", " ").count(amount) for amount in whole] == [81, 81, 80, 80]


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_workbook_does_not_send_its_readers_to_itself_and_paper_and_page_do(report, language):
    document = compose(report, language)
    (markets,) = (table for table in document.tables if table.name == "loss_by_market")
    assert len(markets.rows) > markets.printed
    assert markets.more in html_text(write_html(document))
    strings = zipfile.ZipFile(io.BytesIO(write_xlsx(document))).read("xl/sharedStrings.xml").decode()
    assert "XLSX" not in strings
    assert markets.note in strings


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Against the limits for reporting and recovery", "2 Against the limits"),
        ("From expected payments to merchants' loss", "2 From expected payments"),
        ("Estimates by method, and claims from outside", "2 Estimates by method"),
        ("Harm to", "2 Harm to"),
        ("기대 결제액에서 가맹점 매출 손실까지", "2 기대 결제액에서 가맹점 매출 손실까지"),
        ("a" * 40, "2 " + "a" * 29),
    ],
)
def test_the_name_of_a_sheet_ends_with_a_word(title, name):
    assert _sheet_name(2, title) == name


@pytest.mark.parametrize("language", ["ko", "en"])
def test_the_names_of_sheets_are_told_apart_without_their_numbers(report, language):
    names = [_sheet_name(number, table.title).partition(" ")[2] for number, table in enumerate(compose(report, language).tables, 1)]
    assert len(set(names)) == len(names)


def sheet_of(book: zipfile.ZipFile, number: int) -> list[list[object]]:
    """The head of a sheet's table and its rows, texts and numbers as they are; title and note stand above."""
    shared = ["".join(one.itertext()) for one in ET.fromstring(book.read("xl/sharedStrings.xml"))]
    rows = []
    for row in ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml")).iterfind(".//{*}row"):
        cells = [(cell.get("t"), cell.findtext("{*}v")) for cell in row.iterfind("{*}c")]
        if int(row.get("r") or 0) < 3:
            continue
        rows.append(["" if value is None else shared[int(value)] if kind == "s" else float(value) for kind, value in cells])
    return rows


def test_a_hostile_name_is_text_in_every_form(report):
    document = compose(renamed(report, "<script>alert(1)</script> #panic[x] 🏪 시장"), "ko")
    html = write_html(document).decode()
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    # The font has no picture of a shop; PDF/UA allows no hole.
    assert "<script>alert(1)</script>#panic[x]□시장" in pdf_text(write_pdf(document)).replace(" ", "")


@pytest.mark.parametrize("name", ["shop\x07 1", "가게\x00\x1b\x7f\x85\r\ufffe"], ids=ascii)
def test_a_name_with_control_characters_can_be_read_in_every_form(report, name):
    document = compose(renamed(report, name), "ko")
    shown = "".join(character if character.isprintable() else "□" for character in name)
    assert shown.replace(" ", "") in pdf_text(write_pdf(document)).replace(" ", "")
    html = write_html(document).decode()
    assert shown.removesuffix("□") in html
    assert {character for character in html if unicodedata.category(character) == "Cc"} <= {"\n", "\t"}
    book = zipfile.ZipFile(io.BytesIO(write_xlsx(document)))
    cells = ET.fromstring(book.read("xl/sharedStrings.xml")).itertext()
    assert [cell for cell in cells if cell.startswith(name[:2])]


def test_the_html_is_one_file_that_fetches_nothing(written):
    html = written["ko"].files["html"].decode()
    assert "default-src 'none'" in html
    assert re.findall(r'(?:src|href)="(?!#)[^"]*"', html) == []
    assert '<html lang="ko">' in html
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert html.count("<figure>") == html.count('<svg role="img" aria-label="')


def test_without_ordinary_days_the_report_says_that_there_is_no_estimate(tmp_path):
    published = publish_launch_day(tmp_path, history=False)
    found = write_report(published, LAUNCH, AuthorFiles(), "ko")
    assert "산출할 수 없습니다" in html_text(found.files["html"])
    assert "lost" not in issued(found)


def test_a_report_on_one_region_counts_that_region_alone(published):
    with open_snapshot(published) as snapshot:
        found = gather(snapshot, published, EARLIER, AuthorFiles())
    assert set(found.outcomes["region"]) == {"부산광역시"}


@pytest.mark.parametrize(("scope", "name"), [("market", "M003"), ("channel", "card"), ("region", "부산광역시")])
def test_a_report_on_a_part_has_its_own_outcomes_and_not_the_nation_s(tmp_path, scope, name):
    published = publish_launch_day(tmp_path)
    known = pl.read_parquet(published / "incident-v1.parquet").filter(incident_id=LAUNCH)
    replace_table(published, "incident", known.with_columns(scope=pl.lit(scope), scope_name=pl.lit(name)))
    with open_snapshot(published) as snapshot:
        found = gather(snapshot, published, LAUNCH, AuthorFiles())
        minutes = {"start": found.figures.start, "end": found.figures.end, "scope": scope, "scope_name": name}
        failed = snapshot.query("failed_attempts_in_span", **minutes).item()
    assert found.outcomes["failed"].sum() == failed > 0
    assert found.outcomes["failed"].sum() == found.figures.rates.failed


def test_an_unknown_incident_is_told_with_those_that_are_known(published):
    with pytest.raises(LookupError, match=LAUNCH):
        write_report(published, "nothing", AuthorFiles(), "ko")


def test_a_bug_in_the_report_shows_where_and_an_error_of_use_is_one_line(published, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["report", LAUNCH, "--out", str(tmp_path)])
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    monkeypatch.setattr(command, "write_report", lambda *_, **__: [].pop())
    with pytest.raises(IndexError):
        command.main()
    monkeypatch.setattr(sys, "argv", ["report", "nothing", "--out", str(tmp_path)])
    monkeypatch.setattr(command, "write_report", write_report)
    with pytest.raises(SystemExit, match="There is no incident 'nothing'"):
        command.main()


def test_what_was_issued_can_be_said_and_applied(written):
    found = Written(Report(**{**written["ko"].report.__dict__, "stage": "first"}), "ko", written["ko"].files)
    payload = parse("report_issued", json.dumps(issued(found, "첫 보고")), datetime.now(UTC))
    launch = found.report.figures.launch
    assert (payload.lost, payload.low, payload.high) == (None, round(launch.low), round(launch.high))
    assert (payload.inputs, payload.note) == (found.report.provenance.inputs, "첫 보고")


# What the author keeps


def test_the_example_is_read_whole():
    found = read_author(EXAMPLE)
    assert [len(part) for part in (found.causes, found.measures, found.moments, found.rules)] == [3, 2, 2, 2]
    assert set(found.raw) == set(NAMES)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949"])
def test_tables_are_read_as_a_korean_spreadsheet_saves_them(tmp_path, encoding):
    (tmp_path / "measures.csv").write_bytes("measure,owner,due,indicator,state\n부하 시험,운영팀,2025. 3. 31,실패율,planned\n".encode(encoding))
    (tmp_path / "moments.csv").write_bytes(
        "at,what,source\n2025-03-01 9:00,공지,누리집\n2025. 3. 1. 오후 1:05,복구,누리집\n2025-03-02,발표,누리집\n".encode(encoding)
    )
    found = read_author(tmp_path)
    assert [(measure.measure, measure.due) for measure in found.measures] == [("부하 시험", date(2025, 3, 31))]
    assert [moment.at for moment in found.moments] == [datetime(2025, 3, 1, 9), datetime(2025, 3, 1, 13, 5), datetime(2025, 3, 2)]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("causes.toml", '[[cause]]\narea = "weather"\nfinding = "x"\nbasis = "measured"\nevidence = "y"\n', r"causes\.toml.*weather.*cause\[0\]\.area"),
        ("causes.toml", '[[cause]]\narea = "tests"\nfinding = "x"\nbasis = "measured"\n', r"causes\.toml.*evidence"),
        ("causes.toml", "[[cause\n", r"causes\.toml"),
        ("measures.csv", "measure,owner\nx,y\n", r"measures\.csv: expected the columns measure, owner, due, indicator, state, found measure, owner"),
        ("measures.csv", "measure,owner,due,indicator,state\na,b,soon,d,done\n", r"measures\.csv, line 2: due is 'soon': expected a date such as 2025-03-31"),
        ("measures.csv", "measure,owner,due,indicator,state\na,b,2025-01-01,d,done,more\n", r"measures\.csv, line 2: more cells than columns"),
        ("moments.csv", "at,what,source\nyesterday,b,c\n", r"moments\.csv, line 2: at is 'yesterday': expected a time such as 2025-03-01 09:00"),
        ("moments.csv", "at,what,source\n0001-01-01,b,c\n", r"moments\.csv, line 2: at is '0001-01-01': expected a time from 2000 to 2100"),
        ("moments.csv", 'at,what,source\n2025-03-01,"b,c\n' + "x\n" * 70_000, r"moments\.csv, line 2: field larger than field limit"),
        ("compensation.toml", '[[rule]]\nname = "x"\npayee = "merchants"\nbase = "net"\nrate = 0\nsource = "y"\n', r"compensation\.toml.*rate"),
        ("measures.csv", b"\xff\xfe", r"measures\.csv is neither UTF-8 nor CP949"),
    ],
)
def test_a_wrong_file_is_told_by_name_and_place(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(AuthorError, match=told):
        read_author(tmp_path)


def test_a_folder_that_is_not_there_or_holds_nothing_is_told(tmp_path):
    for folder in (tmp_path, tmp_path / "absent"):
        with pytest.raises(AuthorError, match=re.escape(str(folder))):
            read_author(folder)
