"""The HTTP API of a dashboard that really runs: what it answers, how it pages, and what it says of wrong questions."""

import io
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode

import polars as pl
import pytest
from starlette.requests import Request

from dashboard.api.answers import CSV, JSON, PARQUET, NotAcceptableError, accepted
from dashboard.api.endpoints import ENDPOINTS, loss, sales
from dashboard.api.hosts import known_host
from dashboard.api.parameters import BadParameterError, read_parameters
from dashboard.api.serving import _Answers, _served
from dashboard.figures.incidents import incident_figures, known_incidents
from dashboard.formatting import SEOUL, won
from dashboard.report.author import AuthorFiles
from dashboard.report.composing import compose
from dashboard.report.document import Paragraph
from dashboard.report.gathering import gather
from dashboard.settings import DashboardSettings
from dashboard.texts import texts_in
from dashboard.views.incidents import lost_figure
from tests.dashboard_browser import served
from tests.dashboard_data import EARLIER, LAUNCH, ONSET, count_until, publish_incident, publish_launch_day, replace_table
from warehouse.losses import incident_account
from warehouse.reading import open_snapshot

Get = Callable[..., SimpleNamespace]
SPAN = {"from": "2025-03-01T09:00", "to": "2025-03-01T15:00"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def address(published: Path) -> Iterator[str]:
    with served(published) as address:
        yield address


@pytest.fixture(scope="module")
def get(address: str) -> Get:
    return lambda path, accept=None, method="GET", **query: fetched(address, path, accept, method, query)


def fetched(address: str, path: str, accept: str | None, method: str, query: dict[str, Any], **headers: str) -> SimpleNamespace:
    asked = f"{address}/api/v1/{path}{'?' + urlencode(query) if query else ''}"
    request = urllib.request.Request(asked, method=method, headers={**({"Accept": accept} if accept else {}), **headers})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return SimpleNamespace(status=answer.status, headers=answer.headers, body=answer.read())
    except urllib.error.HTTPError as error:
        return SimpleNamespace(status=error.code, headers=error.headers, body=error.read())


def items(answer: SimpleNamespace) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = json.loads(answer.body)["items"]
    return found


def loss_of(incident: str) -> dict[str, Any]:
    """What is asked where nothing but an incident is given."""
    return read_parameters(next(endpoint.parameters for endpoint in ENDPOINTS if endpoint.path == "/loss"), [("incident", incident)])


def test_losses_are_those_of_the_page_and_of_the_report(get, published):
    with open_snapshot(published) as snapshot:
        shown = incident_figures(snapshot, next(one for one in known_incidents(snapshot) if one.incident_id == LAUNCH))
        report = gather(snapshot, published, LAUNCH, AuthorFiles())
    whole = items(get("loss", incident=LAUNCH))[0]
    assert shown.loss is not None
    assert {name: whole[name] for name in ("expected", "observed", "lost", "low", "high")} == {
        name: round(getattr(shown.loss, name)) for name in ("expected", "observed", "lost", "low", "high")
    }
    regions = {row["name"]: row["lost"] for row in items(get("loss", incident=LAUNCH, by="region"))}
    assert regions == dict(report.regions.select("name", pl.col("lost").cast(pl.Int64)).iter_rows())


def test_on_a_launch_the_range_for_an_unknown_demand_leads_on_page_report_and_api(tmp_path):
    closed = {"label": "출범 준비", "starts_at": datetime(2025, 2, 14, 15), "ends_at": datetime(2025, 2, 28, 15), "market_id": None}
    published = publish_launch_day(tmp_path, exclusions=[closed])
    asked = loss_of(LAUNCH)
    with open_snapshot(published) as snapshot:
        report = gather(snapshot, published, LAUNCH, AuthorFiles())
        whole = loss(snapshot, {**asked, "by": "total"}).row(0, named=True)
        regions, markets = (loss(snapshot, {**asked, "by": by}) for by in ("region", "market"))
        before = loss(snapshot, {**loss_of(EARLIER), "by": "market"}).row(0, named=True)
    launch, gross = report.figures.launch, report.figures.loss
    assert launch is not None
    assert gross is not None
    ends = (launch.low, launch.high)
    assert ((whole["launch_low"], whole["launch_high"]), whole["lost"]) == ((round(ends[0]), round(ends[1])), round(gross.lost))
    assert regions["launch_low"].null_count() == len(regions)
    assert all("launch" in row["warnings"].split() for row in [whole, *regions.iter_rows(named=True), *markets.iter_rows(named=True)])
    assert "launch" not in before["warnings"].split()
    said = next(
        block.text
        for section in compose(report, "ko").sections
        for block in section.blocks
        if isinstance(block, Paragraph) and won(ends[0], "ko") in block.text
    )
    assert said.index(won(ends[0], "ko")) < said.index(won(ends[1], "ko")) < said.index(won(gross.lost, "ko"))
    figure = lost_figure(report.figures, gross, texts_in("ko"))
    assert all(won(end, "ko") in figure.value.replace("\N{NO-BREAK SPACE}", " ") for end in ends)
    assert won(gross.lost, "ko") in figure.notes[1].replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("scope", "name", "measured"),
    [("issuer", "가람카드", "nation"), ("service", "payment", "nation"), ("channel", "card", "channel"), ("region", "부산광역시", "region")],
)
def test_a_loss_says_whose_sales_were_measured_and_has_the_range_of_a_launch_where_no_other_markets_tell_the_demand(tmp_path, scope, name, measured):
    published = publish_launch_day(tmp_path)
    known = pl.read_parquet(published / "incident-v1.parquet").filter(incident_id=LAUNCH)
    replace_table(published, "incident", known.with_columns(scope=pl.lit(scope), scope_name=pl.lit(name)))
    asked = loss_of(LAUNCH)
    with open_snapshot(published) as snapshot:
        found = loss(snapshot, asked).row(0, named=True)
        launch = incident_account(snapshot, LAUNCH).launch
    assert (found["measured_scope"], found["launch_low"]) == (measured, round(launch.low) if launch else None)
    assert (launch is not None) == ("launch" in found["warnings"].split()) == (measured != "region")


def test_a_loss_says_what_else_lay_in_its_window_as_page_and_report_do(tmp_path):
    published = publish_launch_day(tmp_path)
    known = pl.read_parquet(published / "incident-v1.parquet").filter(incident_id=LAUNCH)
    part = known.with_columns(incident_id=pl.lit("part"), scope=pl.lit("region"), scope_name=pl.lit("부산광역시"))
    replace_table(published, "incident", pl.concat([known, part]))
    planned = {
        "label": "점검",
        "service": "payment",
        "starts_at": datetime(2025, 3, 1, 2),
        "ends_at": datetime(2025, 3, 1, 3),
        "announced_at": datetime(2025, 2, 28),
    }
    replace_table(published, "maintenance", pl.DataFrame([planned]))
    with open_snapshot(published) as snapshot:
        codes = loss(snapshot, loss_of(LAUNCH))["warnings"][0].split()
        report = gather(snapshot, published, LAUNCH, AuthorFiles())
    said = [remark.code for remark in report.figures.loss.warnings]
    assert {"maintenance_within", "overlaps"} <= set(codes) & set(said)


def test_a_loss_names_the_window_that_was_estimated_and_what_it_says_about_itself(get):
    whole = items(get("loss", **{"from": "2025-03-01T10:05", "to": "2025-03-02T18:00"}))[0]
    assert (whole["from"], whole["to"]) == ("2025-03-01T10:00:00+09:00", "2025-03-01T19:50:00+09:00")
    assert whole["warnings"].split()[:2] == ["window_widened", "window_cut"]
    assert items(get("loss", **{"from": "2025-03-01T10:00", "to": "2025-03-01T19:50"}))[0]["lost"] == whole["lost"]


def test_a_loss_of_an_incident_that_is_counted_in_part_says_so_and_of_one_that_is_not_there_is_none(tmp_path):
    publish_incident(tmp_path, ONSET, ONSET.replace(hour=18, minute=0))
    with open_snapshot(count_until(tmp_path, ONSET.replace(hour=15, minute=3))) as snapshot:
        found = loss(snapshot, loss_of("i")).row(0, named=True)
    assert (found["to"], "window_cut" in found["warnings"].split()) == (ONSET.replace(hour=15, minute=0), True)
    with open_snapshot(count_until(tmp_path, ONSET)) as snapshot, pytest.raises(BadParameterError, match="Ask again later"):
        loss(snapshot, loss_of("i"))


def test_a_loss_tells_what_was_taken_back_as_the_account_does_and_nothing_of_its_parts(published):
    asked = {"incident": LAUNCH, "from": None, "to": None, "scope": None, "name": None, "level": 0.9}
    with open_snapshot(published) as snapshot:
        whole, parts = (loss(snapshot, {**asked, "by": by}).select(pl.col("^taken_back.*$")) for by in ("total", "region"))
        known = incident_account(snapshot, LAUNCH).taken_back
    assert whole.rows() == [(known.amount, known.share, known.usual)]
    assert set(parts.rows()) == {(None, None, None)}


def test_sales_add_up_to_what_is_published(get, published):
    with open_snapshot(published) as snapshot:
        total = snapshot.sql("SELECT sum(approved_amount)::BIGINT FROM market_minute WHERE minute_at >= '2025-03-01' AND minute_at < '2025-03-01 06:00'").item()
    for step in (5, 60):
        assert sum(row["sales"] for row in items(get("sales", step=step, **SPAN))) == total
    channels = [sum(row["sales"] for row in items(get("sales", scope="channel", name=name, **SPAN))) for name in ("card", "mobile")]
    assert sum(channels) == total


@pytest.mark.parametrize("step", [1_440, 360, 7])
def test_days_and_steps_are_those_of_seoul_and_none_begins_before_from(published, step):
    midnight = datetime(2025, 2, 12, tzinfo=SEOUL)
    asked = {"from": midnight, "to": midnight + timedelta(days=1), "step": step, "scope": "nation", "name": None}
    with open_snapshot(published) as snapshot:
        whole, late = (sales(snapshot, {**asked, "from": start}) for start in (midnight, midnight + timedelta(minutes=665)))
        total = snapshot.query("totals_in_span", start=midnight, end=midnight + timedelta(days=1))["sales"].item()
    assert whole["sales"].sum() == total
    begun = [(moment - midnight) // timedelta(minutes=1) for moment in whole["at"]]
    assert set(begun) <= set(range(0, 1_440, step))
    assert late["at"].min() >= midnight + timedelta(minutes=665)


def test_pages_hold_every_row_once_and_end(get):
    seen: list[str] = []
    asked: str | None = "markets?limit=7"
    while asked:
        answer = get(asked.removeprefix("/api/v1/"))
        seen += [row["market_id"] for row in items(answer)]
        asked = json.loads(answer.body)["next"]
    assert sorted(seen) == [f"M{number:03d}" for number in range(30)]


def test_the_same_rows_come_as_json_csv_and_parquet(get):
    rows = items(get("markets", limit=5))
    csv, parquet = get("markets", accept=CSV, limit=5), get("markets", accept=PARQUET, limit=5)
    assert pl.read_csv(io.BytesIO(csv.body)).rows() == pl.read_parquet(io.BytesIO(parquet.body)).rows() == [tuple(row.values()) for row in rows]
    assert (csv.headers["X-Total-Count"], 'rel="next"' in csv.headers["Link"]) == ("30", True)


def test_the_description_names_every_path_parameter_and_column(get):
    described = json.loads(get("openapi.json").body)
    needed = {path: [one["name"] for one in told["get"]["parameters"] if one["required"]] for path, told in described["paths"].items()}
    assert {path: names for path, names in needed.items() if names} == {"/sales": ["from", "to"]}
    for told in described["paths"].values():
        assert {"400", "401", "403", "404", "405", "406", "421", "503"} <= set(told["get"]["responses"])
    assert set(described["paths"]) == {endpoint.path for endpoint in ENDPOINTS}
    level = next(one for one in described["paths"]["/loss"]["get"]["parameters"] if one["name"] == "level")
    assert "launch_low and launch_high" in level["description"]
    given = {"/loss": {"incident": LAUNCH}, "/sales": SPAN}
    for path, operations in described["paths"].items():
        answered = items(get(path.strip("/"), **given.get(path, {})))
        schema = operations["get"]["responses"]["200"]["content"][JSON]["schema"]
        assert set(answered[0]) == set(schema["properties"]["items"]["items"]["properties"]), path


@pytest.mark.parametrize(
    ("path", "query", "parameter", "told"),
    [
        ("markets", {"limit": "0"}, "limit", "from 1 to 10000"),
        ("markets", {"limit": "ten"}, "limit", "'ten'"),
        ("markets", {"regoin": "x"}, "regoin", "Did you mean region?"),
        ("sales", {}, "from", "needed"),
        ("sales", {**SPAN, "step": "1441"}, "step", "1440"),
        ("sales", {"from": "today", "to": "2025-03-01"}, "from", "ISO 8601"),
        ("sales", {"from": "2025-03-01T10:00", "to": "2025-03-01T09:00"}, "to", "after from"),
        ("sales", {"from": "2025-01-01", "to": "2025-03-01", "step": "1"}, "step", "20,000"),
        ("sales", {**SPAN, "scope": "region"}, "name", "scope is region"),
        ("sales", {**SPAN, "scope": "planet"}, "scope", "nation, region"),
        ("sales", {**SPAN, "name": "서울특별시"}, "name", "Say with scope what it is: region, channel, market"),
        ("loss", {**SPAN, "scope": "nation", "name": "서울특별시"}, "name", "the nation has none"),
        ("loss", {"incident": LAUNCH, **SPAN}, "incident", "not both"),
        ("loss", {"incident": LAUNCH, "scope": "region", "name": "서울특별시"}, "scope", "an incident has its own scope"),
        ("loss", {"incident": LAUNCH, "scope": "nation"}, "scope", "an incident has its own scope"),
        ("loss", {}, "incident", "from and to"),
        ("loss", {"from": "2025-03-01T09:00"}, "to", "needed"),
        ("loss", {"incident": LAUNCH, "name": "서울특별시"}, "name", "Leave name out, or give from and to"),
        ("loss", {"incident": LAUNCH, "level": "2"}, "level", "between 0 and 1"),
        ("loss", {"incident": LAUNCH, "level": "0.9999999999999999"}, "level", "at most 0.999"),
        ("markets", [("region", "a"), ("region", "b")], "region", "more than once"),
        ("markets", {"region": "서울"}, "region", "Did you mean 서울특별시?"),
        ("sales", {**SPAN, "scope": "region", "name": "서울"}, "name", "Did you mean 서울특별시?"),
        ("sales", {**SPAN, "scope": "channel", "name": "카드"}, "name", "no channel '카드'. Known: card, mobile."),
        ("sales", {**SPAN, "scope": "market", "name": "M999"}, "name", "no market 'M999'"),
        ("loss", {**SPAN, "scope": "market", "name": "가람1 시장"}, "name", "Did you mean M000 (가람1시장 · 서울특별시 1구)?"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_told_by_its_name(get, path, query, parameter, told):
    answer = get(f"{path}?{urlencode(query)}")
    error = json.loads(answer.body)["error"]
    assert (answer.status, error["code"], error["parameter"]) == (400, "bad_parameter", parameter)
    assert told in error["message"]


def test_what_was_counted_of_a_market_in_no_list_can_be_asked_for(tmp_path):
    publish_launch_day(tmp_path)
    replace_table(tmp_path, "market", pl.DataFrame({"market_id": ["M000"], "name": ["가람1시장"], "region": ["서울특별시"]}))
    span = {name: datetime.fromisoformat(text).replace(tzinfo=SEOUL) for name, text in SPAN.items()}
    with open_snapshot(tmp_path) as snapshot:
        for scope, name in (("market", "M003"), ("region", "unknown")):
            assert sales(snapshot, {**span, "scope": scope, "name": name, "step": 60})["approved"].sum() > 0


def test_what_is_not_there_is_404_in_json_and_writing_is_not_allowed(get):
    for path in ("loss?incident=nothing", "nothing", "markets/M001"):
        answer = get(path)
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (404, "not_found")
    refused = get("markets", method="POST")
    assert (refused.status, sorted(refused.headers["Allow"].split(", "))) == (405, ["GET", "HEAD"])
    assert "/api/v1/incidents" in json.loads(get("loss?incident=nothing").body)["error"]["message"]
    assert get("markets", accept="image/png").status == 406


def test_an_estimate_that_nothing_is_known_for_says_so(get):
    for year in ("2000", "2024"):
        answer = get("loss", **{"from": f"{year}-01-01T10:00", "to": f"{year}-01-01T12:00"})
        error = json.loads(answer.body)["error"]
        assert (answer.status, error["code"], error["message"]) == (400, "no_estimate", "No sales are known before this span. Ask for a later one.")
    for span in (("2026-01-01T10:00", "2026-01-01T12:00"), ("2024-11-30T10:00", "2025-03-01T12:00")):
        message = json.loads(get("loss", **dict(zip(("from", "to"), span, strict=True))).body)["error"]["message"]
        assert f"{span[0]}:00+09:00" in message
        assert len(re.findall(r"\d{4}-\d\d-\d\d", message)) == message.count("+09:00") == 2


def test_pages_and_api_share_one_port(get, address):
    assert get("markets").status == 200
    with urllib.request.urlopen(f"{address}/incidents", timeout=60) as page:
        assert b"<html" in page.read()


def test_where_nothing_is_published_it_says_so_and_with_a_token_it_asks_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ONNURI_API_TOKEN", "s3cret")
    with served(tmp_path) as address:
        assert fetched(address, "markets", None, "GET", {}).status == 401
        assert fetched(address, "openapi.json", None, "GET", {}, Authorization="Bearer wrong").status == 401
        answer = fetched(address, "markets", None, "GET", {}, Authorization="Bearer s3cret")
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (503, "nothing_published")


@pytest.mark.parametrize("manifest", [None, "{"])
def test_what_everybody_may_read_names_no_path_where_nothing_can_be_shown_and_the_log_does(tmp_path, monkeypatch, caplog, manifest):
    monkeypatch.setenv("ONNURI_PUBLIC_STATUS", "true")
    folder = tmp_path / "kept"
    folder.mkdir()
    if manifest:
        (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    monkeypatch.setenv("ONNURI_PUBLISHED", str(folder))
    endpoint = next(one for one in ENDPOINTS if one.path == "/status")
    serve = _served(endpoint, DashboardSettings.read(), _Answers(folder))
    asked = {"type": "http", "method": "GET", "path": "/status", "query_string": b"", "headers": [(b"host", b"localhost")]}
    answer = serve(Request(asked))
    error = json.loads(bytes(answer.body))["error"]
    assert (answer.status_code, error["message"]) == (503, "The state cannot be shown just now. Please look again shortly.")
    assert str(folder) in caplog.text


def test_times_are_written_alike_in_csv_and_json(get):
    listed = [row["onset_at"] for row in items(get("incidents"))]
    assert pl.read_csv(get("incidents", accept=CSV).body)["onset_at"].to_list() == listed
    assert all(onset.endswith("+09:00") for onset in listed)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8501", "127.0.0.1.evil.example", "localhost.evil.example", "10.1.2.3"])
def test_a_name_that_is_not_ours_is_refused_before_anything_is_read(address, host):
    answer = fetched(address, "markets", None, "GET", {}, Host=host)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (421, "unknown_host")
    assert "ONNURI_API_HOSTS" in json.loads(answer.body)["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:8501", "[::1]:8501"])
def test_this_machine_s_own_names_are_answered(address, host):
    assert fetched(address, "markets", None, "GET", {}, Host=host).status == 200


@pytest.mark.parametrize(
    ("host", "bound", "known"),
    [
        ("Onnuri.example:443", "127.0.0.1", True),
        ("onnuri.example.", "127.0.0.1", True),
        ("10.0.0.7", "10.0.0.7", True),
        ("10.0.0.7:8501", "0.0.0.0", True),
        ("[fe80::1]:8501", "::", True),
        ("evil.example", "0.0.0.0", False),
        ("", "", False),
        (None, "", False),
    ],
)
def test_a_host_is_known_by_the_settings_or_by_the_address_listened_on(host, bound, known):
    assert known_host(host, bound, frozenset({"onnuri.example"})) is known


@pytest.mark.parametrize(
    ("header", "form"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/csv", CSV),
        ("text/*", CSV),
        ("application/json;q=0.5, text/csv", CSV),
        ("application/vnd.apache.parquet;q=0.9,text/csv;q=0.1", PARQUET),
        ("application/json;q=0, */*", CSV),
        ("*/*;q=0.1, application/vnd.apache.parquet", PARQUET),
        ("text/csv, */*", CSV),
    ],
)
def test_the_form_is_the_one_the_caller_likes_best(header, form):
    assert accepted(header) == form


@pytest.mark.parametrize("header", ["image/png", "text/csv;q=0", "application/xml;q=much", "text/csv;q=0, text/*"])
def test_a_caller_that_takes_none_of_the_forms_is_told_of_them(header):
    with pytest.raises(NotAcceptableError, match="parquet"):
        accepted(header)


def test_names_in_an_address_may_be_korean(get):
    assert {row["region"] for row in items(get(f"markets?region={quote('경기도')}"))} == {"경기도"}
