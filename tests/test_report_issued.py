"""Editions of a report: issued by a command, kept as they were, listed in the next report; and the page and command that do it."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.report.author import AuthorFiles
from dashboard.report.composing import compose
from dashboard.report.gathering import Report
from dashboard.report.writing import issued, write_report
from dashboard.saying import say
from dashboard.settings import DashboardSettings
from dashboard.texts import texts_in
from streams import cli
from tests.dashboard_data import EARLIER, LAUNCH, ONSET, publish_incident, publish_launch_day, replace_table
from tests.events_data import NOON, chunk, ms
from tests.line_process import WorkerProcess
from warehouse.ingest import Writer
from warehouse.losses import incident_window
from warehouse.publishing import Publisher
from warehouse.reading import open_snapshot

DECLARED = "5f9d2c6e-0000-4000-8000-000000000001"


def command(number: int, kind: str, payload: dict[str, object]) -> dict[str, object]:
    name = f"5f9d2c6e-0000-4000-8000-{number:012d}"
    return {"command_id": name, "occurred_at": ms(NOON) + number, "actor": "보고 담당", "kind": kind, "payload": payload}


def edition(stage: str, lost: int, **other: object) -> dict[str, object]:
    said = {"incident_id": DECLARED, "stage": stage, "manifest_sequence": 7, "inputs": "a" * 64, "document": "b" * 64, "lost": lost, "note": f"{stage} edition"}
    return {**said, "low": lost - 1, "high": lost + 1, **other}


def test_editions_are_kept_as_they_were_issued_and_stand_in_the_next_report(tmp_path):
    writer = Writer(tmp_path / "w.duckdb", NOON)
    onset = (NOON - timedelta(hours=2)).isoformat()
    said = [
        command(1, "incident_declared", {"scope": "nation", "scope_name": "", "onset_at": onset, "ended_at": NOON.isoformat()}),
        command(2, "report_issued", edition("first", 1_234_567_890)),
        command(3, "report_issued", edition("interim", 987_654_321)),
        command(4, "report_issued", edition("final", 1, incident_id="nothing")),
    ]
    writer.apply([chunk("commands", said)], NOON, lambda _: None)
    Publisher(writer.connection, tmp_path / "published").publish(NOON, NOON, {}, {})
    outcomes = [outcome for (outcome,) in writer.connection.execute("SELECT outcome FROM command ORDER BY occurred_at").fetchall()]
    writer.close()
    written = write_report(tmp_path / "published", DECLARED, AuthorFiles(), "ko")
    assert outcomes == ["applied", "applied", "applied", "no such incident"]
    assert written.report.editions.select("stage", "lost", "issued_by").rows() == [("first", 1_234_567_890, "보고 담당"), ("interim", 987_654_321, "보고 담당")]
    text = " ".join(unescape(re.sub(r"<[^>]+>", " ", written.files["html"].decode())).replace("\N{NO-BREAK SPACE}", " ").split())
    assert re.search(r"최초 2025년 3월 1일 \(토\) 12:00 보고 담당 12억 3,457만 원", text)
    assert "interim edition" in text


def test_the_revision_log_has_the_window_of_each_edition_as_it_was_then(tmp_path):
    made = write_report(publish_launch_day(tmp_path / "launch"), EARLIER, AuthorFiles(), "ko", stage="first")
    told = {name: value for name, value in issued(made).items() if name.startswith("window")}
    assert {name: datetime.fromisoformat(str(value)) for name, value in told.items()} == {
        "window_start": made.report.figures.start,
        "window_end": made.report.figures.end,
    }
    writer = Writer(tmp_path / "w.duckdb", NOON)
    onset = NOON - timedelta(hours=2)
    said = [
        command(1, "incident_declared", {"scope": "nation", "onset_at": onset.isoformat(), "ended_at": NOON.isoformat()}),
        command(2, "report_issued", edition("first", 2, **told)),
        command(3, "incident_corrected", {"incident_id": DECLARED, "onset_at": (onset + timedelta(hours=1)).isoformat()}),
        command(4, "report_issued", edition("interim", 1)),
    ]
    writer.apply([chunk("commands", said)], NOON, lambda _: None)
    Publisher(writer.connection, tmp_path / "published").publish(NOON, NOON, {}, {})
    writer.close()
    shown = windows(write_report(tmp_path / "published", DECLARED, AuthorFiles(), "ko").report)
    assert shown == ["2025년 2월 12일 (수) 13:00 ~ 13:50", "–"], "the second was sent by a version that did not tell its window"


def test_what_is_not_counted_yet_has_no_window(tmp_path):
    folder = publish_incident(tmp_path, datetime(2025, 3, 1, 10, 55, tzinfo=UTC), None)
    made = write_report(folder, "i", AuthorFiles(), "ko", stage="first")
    assert made.report.figures.loss is None
    assert not {"window_start", "window_end"} & set(issued(made))


def test_a_state_of_before_editions_kept_their_window_is_read(tmp_path):
    folder = publish_launch_day(tmp_path)
    row = {"edition_id": DECLARED, **edition("first", 5, incident_id=LAUNCH), "issued_at": datetime(2025, 3, 1, 6), "issued_by": "홍보실"}
    replace_table(folder, "report_edition", pl.DataFrame([row]))
    assert windows(write_report(folder, LAUNCH, AuthorFiles(), "en").report) == ["–"]


def windows(report: Report) -> list[str]:
    log = next(table for table in compose(report, "ko").tables if table.name == "editions")
    return [row[log.columns.index("추정 대상 시간")].text for row in log.rows]


def test_what_was_said_of_merged_incidents_counts_for_the_one_that_they_became(tmp_path):
    writer = Writer(tmp_path / "w.duckdb", NOON)
    first, second, whole = (f"5f9d2c6e-0000-4000-8000-{number:012d}" for number in (1, 2, 3))
    times = {"onset_at": (NOON - timedelta(hours=2)).isoformat(), "ended_at": NOON.isoformat()}
    survey = {"substitution": 0.3, "low": 0.2, "high": 0.4}
    said = [
        command(1, "incident_declared", {"scope": "region", "scope_name": "서울", **times}),
        command(2, "incident_declared", {"scope": "channel", "scope_name": "card", **times}),
        command(3, "incident_declared", {"scope": "nation", **times}),
        command(4, "claim_entered", {"source": "press", "amount": 10**10, "incident_id": first}),
        command(5, "survey_entered", {"label": "of the whole", "incident_id": whole, **survey}),
        command(6, "survey_entered", {"label": "of a part", "incident_id": first, **survey}),
        command(7, "report_issued", edition("first", 1_234_567_890)),
        command(8, "incident_merged", {"incident_id": first, "into": second}),
        command(9, "incident_merged", {"incident_id": second, "into": whole}),
        command(10, "claim_entered", {"source": "ministry", "amount": 5 * 10**9, "incident_id": first}),
        command(11, "report_issued", edition("interim", 1, incident_id=second)),
        command(12, "survey_entered", {"label": "of none", **survey}),
    ]
    writer.apply([chunk("commands", said)], NOON, lambda _: None)
    Publisher(writer.connection, tmp_path / "published").publish(NOON, NOON, {}, {})
    writer.close()
    with open_snapshot(tmp_path / "published") as snapshot:
        assert snapshot.query("claims_about", incident_id=whole)["source"].to_list() == ["press", "ministry"]
        assert snapshot.query("surveys_about", incident_id=whole)["label"].to_list() == ["of none", "of the whole", "of a part"]
        with pytest.raises(LookupError, match=whole):
            incident_window(snapshot, first)
    found = write_report(tmp_path / "published", whole, AuthorFiles(), "en")
    assert found.report.figures.claims["source"].to_list() == ["press", "ministry"]
    # Those figures are of another scope: the log says so.
    log = next(table for table in compose(found.report, "en").tables if table.name == "editions")
    assert [row[-1].text for row in log.rows] == [
        f"{stage} edition On incident {part}, which was merged into this one." for stage, part in (("first", first), ("interim", second))
    ]
    with pytest.raises(LookupError, match=f"{first}' was merged into '{whole}'"):
        write_report(tmp_path / "published", first, AuthorFiles(), "en")


@pytest.mark.parametrize("wrong", [{"stage": "draft"}, {"inputs": "short"}, {"lost": 1.5}, {"manifest_sequence": -1}, {"document": "B" * 64}])
def test_an_edition_that_is_not_whole_is_refused(tmp_path, wrong):
    writer = Writer(tmp_path / "w.duckdb", NOON)
    refused = []
    writer.apply([chunk("commands", [command(2, "report_issued", {**edition("first", 1), **wrong})])], NOON, refused.extend)
    kept = writer.connection.execute("SELECT count(*) FROM report_edition").fetchone()
    writer.close()
    assert (len(refused), kept) == (1, (0,))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("issued"))


def ended(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    monkeypatch.setattr(sys, "argv", ["onnuri", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    return stopped.value.code


def test_the_command_writes_three_files_and_says_which(published, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    assert ended(monkeypatch, "report", LAUNCH, "--out", tmp_path / "new", "--lang", "en") == 0
    files = [Path(line) for line in capsys.readouterr().out.split()]
    assert sorted(file.suffix for file in files) == [".html", ".pdf", ".xlsx"]
    assert all(file.stat().st_size > 10_000 for file in files)
    assert '<html lang="en">' in next(file for file in files if file.suffix == ".html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["report", "nothing", "--out", "x"], 1, "There is no incident 'nothing'"),
        (["report", "--out", "-x", "--note", "-정정", "--", "-nothing"], 1, "There is no incident '-nothing'"),
        (["report", LAUNCH, "--out", "x", "--author", "absent"], 1, "absent is not a folder"),
        (["report", LAUNCH, "--out", "x", "--issue", "me"], 1, "ONNURI_KAFKA is not set"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(published, tmp_path, monkeypatch, capsys, arguments, code, said):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    monkeypatch.chdir(tmp_path)
    assert ended(monkeypatch, *arguments) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def script() -> None:
    from dashboard.frame import chosen_texts  # noqa: PLC0415 - Streamlit runs this function's text as a script
    from dashboard.settings import DashboardSettings  # noqa: PLC0415
    from dashboard.views import report  # noqa: PLC0415

    settings = DashboardSettings.read()
    report.page(settings, chosen_texts(settings))


def test_the_page_shows_the_report_offers_three_files_and_keeps_its_state_in_the_link(published, monkeypatch):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    app = AppTest.from_function(script, default_timeout=180)
    app.query_params["lang"], app.query_params["incident"], app.query_params["stage"] = "ko", LAUNCH, "first"
    app.run()
    assert not app.exception
    words = unescape(re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in app.html)))
    assert len(app.get("download_button")) == 3
    # Nothing can be issued without Kafka, and the page says why.
    assert "지금은 발행할 수 없습니다" in words
    assert app.query_params["stage"] == "first"
    made = app.session_state["report"][1]
    assert (made.report.stage, made.language) == ("first", "ko")
    app.run()
    assert app.session_state["report"][1] is made


def test_a_report_of_before_a_correction_is_told_as_one_and_not_issued(tmp_path, monkeypatch):
    def shown() -> str:
        app.run()
        assert not app.exception
        return unescape(re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in app.html)))

    folder = publish_launch_day(tmp_path, ended_at=ONSET + timedelta(hours=8))
    monkeypatch.setenv("ONNURI_PUBLISHED", str(folder))
    app = AppTest.from_function(script, default_timeout=180)
    app.query_params["lang"], app.query_params["incident"], app.query_params["stage"] = "ko", LAUNCH, "first"
    changed, issuing = (texts_in("ko")(f"report_page.{name}") for name in ("changed", "no_kafka"))
    assert (changed in shown(), issuing in shown()) == (False, True)
    publish_launch_day(tmp_path, ended_at=ONSET + timedelta(hours=7), sequence=2)
    assert (changed in shown(), issuing in shown()) == (True, False)
    app.button(key="make_again").click()
    assert (changed in shown(), issuing in shown()) == (False, True)


def test_a_report_issued_on_the_page_goes_through_kafka_and_worker_into_the_page_s_revision_log(line, monkeypatch):
    told = DashboardSettings(line.published_folder, "ko", line.kafka, line.topic_prefix)
    onset = datetime.now(UTC) - timedelta(hours=3)
    span = {"onset_at": onset.isoformat(), "ended_at": (onset + timedelta(hours=1)).isoformat()}
    with WorkerProcess(line) as worker:
        declared = say(told, "관제", "incident_declared", {"scope": "nation", "scope_name": "", **span})
        worker.wait(lambda: worker.manifest().get("files", {}).get("incident"))
        for name, value in {"PUBLISHED": line.published_folder, "KAFKA": line.kafka, "TOPIC_PREFIX": line.topic_prefix}.items():
            monkeypatch.setenv(f"ONNURI_{name}", str(value))
        app = AppTest.from_function(script, default_timeout=180)
        app.query_params["lang"], app.query_params["stage"] = "ko", "first"
        app.run()
        app.text_input(key="issue_actor").set_value("보고 담당")
        app.text_input(key="issue_note").set_value("첫 보고를 냄")
        next(button for button in app.button if button.label == texts_in("ko")("report_page.confirm")).click()
        app.run()
        assert not app.exception
        issued_as = app.session_state["report"][1]
        worker.wait(lambda: worker.manifest()["files"].get("report_edition"))
        app.button(key="make_again").click().run()
    editions = app.session_state["report"][1].report.editions
    assert editions.select("stage", "issued_by", "note", "document").rows() == [("first", "보고 담당", "첫 보고를 냄", issued_as.document)]
    preview = unescape(app.session_state["report"][1].files["html"].decode())
    assert "첫 보고를 냄" in preview and declared in preview


@pytest.mark.parametrize(("language", "stage"), [("ko", "중간 보고(interim)"), ("en", "interim report")])
@pytest.mark.parametrize("ended_at", [None, datetime(2025, 3, 1, 22, tzinfo=UTC)], ids=["open", "not all counted"])
def test_what_goes_on_or_is_not_all_counted_gets_no_final_edition(tmp_path, monkeypatch, capsys, language, stage, ended_at):
    folder = publish_incident(tmp_path / "published", datetime(2025, 3, 1, 1, tzinfo=UTC), ended_at)
    monkeypatch.setenv("ONNURI_PUBLISHED", str(folder))
    assert ended(monkeypatch, "report", "i", "--out", tmp_path / "new", "--lang", language, "--stage", "final") == 1
    told = " ".join(capsys.readouterr().err.split())
    do_first = "onnuri say incident_corrected" if ended_at is None else {"ko": "2025년 3월 2일 (일) 07:00", "en": "Sun 2 Mar 2025 07:00"}[language]
    assert do_first in told and stage in told and not (tmp_path / "new").exists()
    app = AppTest.from_function(script, default_timeout=180)
    app.query_params["lang"], app.query_params["incident"], app.query_params["stage"] = language, "i", "final"
    app.run()
    words = unescape(re.sub(r"<[^>]+>", " ", " ".join(element.proto.body for element in app.html)))
    assert not app.exception
    assert do_first in words and stage in words
    assert not app.get("download_button")


def test_a_final_edition_is_made_of_what_is_over_and_any_other_of_what_is_not(published, tmp_path):
    assert write_report(published, EARLIER, AuthorFiles(), "ko", stage="final").report.stage == "final"
    goes_on = publish_incident(tmp_path, datetime(2025, 3, 1, 1, tzinfo=UTC), None)
    assert write_report(goes_on, "i", AuthorFiles(), "ko", stage="interim").report.stage == "interim"


def test_a_wrong_file_of_the_author_is_told_on_the_page_and_left_out(published, monkeypatch, tmp_path):
    (tmp_path / "causes.toml").write_text("[[cause]]\narea = 1\n")
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    monkeypatch.setenv("ONNURI_REPORT_FILES", str(tmp_path))
    app = AppTest.from_function(script, default_timeout=180)
    app.query_params["lang"] = "en"
    app.run()
    assert not app.exception
    words = unescape(" ".join(element.proto.body for element in app.html))
    assert "The author's files cannot be read" in words
    assert "causes.toml" in words


def test_the_notebook_opens_what_is_published_in_five_lines_each(published, monkeypatch):
    monkeypatch.setenv("ONNURI_PUBLISHED", str(published))
    notebook = json.loads((Path(__file__).parents[1] / "docs" / "published.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [len([line for line in cell.splitlines() if line]) for cell in cells] == [5, 5]
    known: dict[str, object] = {}
    answers = []
    for cell in cells:
        *before, last = cell.splitlines()
        exec("\n".join(before), known)
        answers.append(eval(last, known))
    by_day = answers[0].pl()
    assert by_day["sales"].sum() == answers[1]["approved_amount"].sum() > 0
    assert answers[1]["region"].n_unique() == 6
