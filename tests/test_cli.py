"""The command: help with examples, one message for an error of use, and output that programs and spreadsheets can take."""

import csv
import errno
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import polars as pl
import pytest
import typer

from dashboard.figures.incidents import incident_figures, known_incidents
from streams import cli
from streams.estimating import estimate_from_warehouse, summed_up
from streams.markets import read_markets
from streams.output import Format, show
from streams.ports import free_port
from streams.settings import Settings
from streams.tables import read_table
from tests.dashboard_data import ONSET, publish_incident
from tests.events_data import NOON, chunk, ms, payment
from warehouse.commands import KINDS
from warehouse.ingest import Writer
from warehouse.publishing import Publisher
from warehouse.reading import open_snapshot

MARKETS = [
    {"market_id": "m0001", "name": '=HYPERLINK("http://127.0.0.1")', "region": "대구광역시"},
    {"market_id": "m0002", "name": "[/b] 시장, 둘", "region": "+82"},
]
Run = Callable[..., SimpleNamespace]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a worker has published: a payment in each of two markets, one of which has a name that is a formula."""
    return publish(tmp_path_factory.mktemp("cli"))


def publish(folder: Path, *said: tuple[str, dict[str, Any]]) -> Path:
    writer = Writer(folder / "w.duckdb", NOON)
    every = [("markets_imported", {"markets": MARKETS}), *said]
    records = [{"command_id": f"c{n}", "occurred_at": ms(NOON), "actor": "test", "kind": kind, "payload": payload} for n, (kind, payload) in enumerate(every)]
    writer.apply([chunk("commands", records), chunk("payments", [payment(1), payment(2, market_id="m0002")])], NOON, lambda _: None)
    Publisher(writer.connection, folder / "published").publish(NOON, NOON, {}, {})
    writer.close()
    return folder / "published"


@pytest.fixture
def onnuri(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command as a shell would: its exit code, what it printed, and what it said of errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, **settings: object) -> SimpleNamespace:
        for name, value in settings.items():
            monkeypatch.setenv(f"ONNURI_{name.upper()}", str(value))
        monkeypatch.setattr(sys, "argv", ["onnuri", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return SimpleNamespace(code=ended.value.code, out=printed.out, said=printed.err)

    return run


def commands() -> list[tuple[str, ...]]:
    group: Any = typer.main.get_command(cli.app)
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found += [(name, inner) for inner in command.commands] if hasattr(command, "commands") else [(name,)]
    return found


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example_of_itself(onnuri, command):
    shown = onnuri(*command, "--help")
    assert shown.code == 0
    text = " ".join(shown.out.split())
    example = text.partition("Example: ")[2]
    assert f"onnuri {' '.join(command)}" in example


def test_the_installed_command_answers(tmp_path):
    shown = subprocess.run([sys.executable, "-m", "streams.cli", "--help"], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path)
    assert "demo" in shown.stdout


NOWHERE = f"127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        (["sql", "SELECT 1"], {}, "holds no manifest.json. Start a worker first: onnuri worker"),
        (["incidents"], {"kafka": "kafka:abc"}, "ONNURI_KAFKA is 'kafka:abc'"),
        (["simulate", "no-such"], {"kafka": f"{NOWHERE}, ,"}, "no-such"),
        (["incidents"], {"batch_rows": "many"}, "ONNURI_BATCH_ROWS is 'many'"),
        (["worker"], {}, "ONNURI_KAFKA is not set: where are the brokers? Example: ONNURI_KAFKA=127.0.0.1:9092"),
        (["simulate"], {}, "ONNURI_KAFKA is not set"),
        (["simulate", "no-such"], {"kafka": NOWHERE}, "no-such"),
        (["markets", "import", "no.csv"], {"kafka": NOWHERE}, "no.csv cannot be read"),
        (["say", "promotion", "{bad", "--actor", "me"], {"kafka": NOWHERE}, "The payload is not JSON"),
        (["say", "promotion", "[1]", "--actor", "me"], {"kafka": NOWHERE}, "not a JSON object"),
        (["say", "promotion", "{}", "--actor", "me"], {"kafka": NOWHERE}, "promotion: Object missing required field `label`"),
        (["say", "incident_merged", '{"incident_id": "a", "into": "b"}', "--actor", ""], {"kafka": NOWHERE}, "incident_merged: actor has 0 characters"),
        (["say", "nonsense", "{}", "--actor", "me"], {"kafka": NOWHERE}, "nonsense: there is no such kind. There are: markets_imported, operator_period,"),
        (["estimate", "--sales", "no.csv", "--from", "2025-03-01T10:00", "--to", "2025-03-01T20:00"], {}, "--sales no.csv cannot be read as CSV"),
        (["estimate", "--sales", "no.csv", "--from", "ten", "--to", "2025-03-01T20:00"], {}, "--from is 'ten': not a time. Example: 2025-03-01T10:00"),
    ],
)
def test_an_error_of_use_is_one_message_and_exit_code_1(onnuri, arguments, settings, message):
    ended = onnuri(*arguments, **settings)
    assert ended.code == 1
    assert ended.out == ""
    assert message in ended.said
    assert ended.said.startswith("onnuri: ")
    assert "Traceback" not in ended.said


SPAN = json.dumps({"label": "훈련", "starts_at": "2025-03-01T10:00+09:00", "ends_at": "2025-03-01T11:00+09:00"})


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate",),
        ("say", "span_excluded", SPAN, "--actor", "me"),
        ("markets", "import", "markets.csv"),
        ("report", "one", "--out", "x", "--stage", "first", "--issue", "me"),
        ("demo", "--folder", "demo"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_that_finds_no_broker_says_so_at_once_and_what_to_do(tmp_path, arguments):
    (tmp_path / "markets.csv").write_text("market_id,name,region\nm1,서문시장,대구광역시\n", encoding="utf-8")
    told = {**os.environ, "ONNURI_KAFKA": f"127.0.0.1:1,{NOWHERE}"}
    began = time.monotonic()
    run = subprocess.run([sys.executable, "-m", "streams.cli", *arguments], env=told, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    away = f"No broker answers at 127.0.0.1:1,{NOWHERE} (127.0.0.1:1: Connection refused; {NOWHERE}: Connection refused)"
    # Alone on its line, with nothing of a database's or a client's own behind it.
    assert run.stderr.splitlines()[-1] == f"onnuri: {away}. Is it running, and does ONNURI_KAFKA name its port? To try out, start one: onnuri broker"
    assert not (tmp_path / "x").exists()
    # kafka-python by itself gives up after thirty seconds.
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sql", "SELECT nothing"], "nothing"),
        (["sql", 'SELECT "[/bold]"'], "[/bold]"),
        (["sql", "SELECT 1", "--format", "json", "--out", "absent/x.json"], "absent/x.json cannot be written: No such file or directory"),
        (["sql", "SELECT 1", "--format", "parquet", "--out", "absent/x.parquet"], "absent/x.parquet cannot be written: No such file or directory"),
        (["estimate", "absent"], "There is no incident 'absent'. List them with: onnuri incidents"),
        (["estimate"], "--from is missing. Give an incident's id, or both --from and --to"),
        (["estimate", "--from", "2025-03-01T10:00", "--to", "2025-03-01T12:00"], ""),
        (["estimate", "one", "--from", "2025-03-01T10:00", "--to", "2025-03-01T12:00"], "Give an incident's id, or --from and --to, not both"),
        (["estimate", "one", "--to", "2025-03-01T12:00"], "The incident 'one' and --to 2025-03-01T12:00 are given"),
        (["estimate", "one", "--sales", "my.csv"], "The incident 'one' and --sales my.csv are given"),
        (["estimate", "--from", "0001-01-01T00:00", "--to", "2025-03-01T12:00"], "--from is '0001-01-01T00:00': expected a time from 2000 to 2100"),
        (["estimate", "--from", "2025-03-01T10:00", "--to", "9999-12-31T23:59-09:00"], "--to is '9999-12-31T23:59-09:00': expected a time from 2000 to 2100"),
    ],
)
def test_so_is_one_about_what_is_published(onnuri, published, arguments, message):
    ended = onnuri(*arguments, published=published)
    assert ended.code == 1
    assert message in ended.said
    assert ended.said.startswith("onnuri: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "market_minute", "--out", "x.xls"],
        ["export", "absent", "--out", "x.csv"],
        ["export", "payment", "--out", "x.csv"],
        ["sql", "SELECT 1", "--format", "parquet"],
        ["estimate", "one", "--format", "xlsx"],
        ["doctor", "--format", "parquet"],
        ["incidents", "--out", "x.csv", "--format", "json"],
        ["incidents", "--out", "x.txt"],
        ["unknown", "--out", "x.csv", "--format", "table"],
        ["detect", "--sales", "absent.csv", "--out", "x.csv", "--json"],
        ["forecast", "--out", "x"],
        ["capacity", "--out", "x.xlsx", "--format", "parquet"],
        ["compare", "--first", "a", "--second", "b", "--out", "x.json", "--format", "csv"],
        ["sql"],
    ],
)
def test_wrong_options_are_told_with_the_usage(onnuri, published, arguments):
    ended = onnuri(*arguments, published=published)
    assert ended.code == 2
    assert "Usage:" in ended.said
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["forecast", "--as-of", "2025-03-01"], ["Expected --sales FILE", "got --as-of 2025-03-01 without it", "leave it out"]),
        (["forecast", "--calendar", "c.csv", "--feasts", "f.csv"], ["got --calendar c.csv --feasts f.csv without it", "leave them out"]),
        (["forecast", "--promotions", "p.csv"], ["got --promotions p.csv without it"]),
        (["forecast", "--sales", "s.csv", "--what", "peaks"], ["--what peaks is of the warehouse", "got --sales s.csv"]),
        (["detect", "--sales", "s.csv", "--json", "--format", "csv"], ["got --format csv beside it", "Leave one of the two out"]),
    ],
)
def test_an_option_that_would_not_be_read_is_refused_and_not_passed_over(onnuri, published, arguments, words):
    ended = onnuri(*arguments, published=published)
    assert ended.code == 2
    said = " ".join(re.sub(r"[│╭╮╰╯─]", " ", ended.said).split())
    assert [word for word in words if word not in said] == []
    assert ended.out == ""


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (["incidents"], {"published": "file"}),
        (["incidents"], {"published": "file/in"}),
        (["worker"], {"kafka": NOWHERE, "warehouse": "file/w.duckdb", "published": "none"}),
        (["worker"], {"kafka": NOWHERE, "published": "file/in"}),
        (["restore", "file"], {"warehouse": "file/w.duckdb"}),
    ],
    ids=["a file for the folder", "within a file", "a worker within a file", "a worker publishing within a file", "a restore within a file"],
)
def test_a_file_that_the_system_does_not_give_is_one_message_that_names_it(onnuri, tmp_path, arguments, place):
    (tmp_path / "file").write_text("no folder")
    ended = onnuri(*arguments, **place)
    assert (ended.code, ended.out) == (1, "")
    assert "file" in ended.said and ("Not a directory" in ended.said or "File exists" in ended.said)


def test_export_does_not_advise_an_option_that_it_has_not(onnuri, published):
    ended = onnuri("export", "claim", "--out", "x.txt", published=published)
    assert (ended.code, "x.txt" in ended.said, "--format" in ended.said) == (2, True, False)
    assert "--format" in onnuri("incidents", "--out", "x.txt", published=published).said


def test_what_failed_purchases_say_has_no_end_of_its_own_as_on_the_page(tmp_path):
    publish_incident(tmp_path, ONSET, ONSET + timedelta(hours=2))
    frame, _ = estimate_from_warehouse(tmp_path, "i", None, None, 0.9, (0.5, 4.0))
    told = {row["method"]: row for row in frame["methods"].to_list()[0]}
    with open_snapshot(tmp_path) as snapshot:
        shown = {method.name: method for method in incident_figures(snapshot, known_incidents(snapshot)[0]).methods}
    assert shown["attempts"].value == told["attempts"]["value"] == frame["attempts"].item()
    assert [(told[name]["low"], told[name]["high"]) for name in told] == [(shown[name].low, shown[name].high) for name in told]
    assert (told["attempts"]["low"], frame["attempts_low"].item()) == (None, None)


def test_what_is_no_number_and_what_is_infinite_is_null_in_json(onnuri, published):
    asked = "SELECT 'nan'::DOUBLE a, [1.5, 'inf'::DOUBLE] b, {'c': '-inf'::FLOAT} d, 2.5::DOUBLE e"
    ended = onnuri("sql", asked, "--format", "json", published=published)

    def never(text):
        raise AssertionError(text)

    assert json.loads(ended.out, parse_constant=never) == [{"a": None, "b": [1.5, None], "d": {"c": None}, "e": 2.5}]


def test_the_help_of_say_lists_the_kinds_and_says_what_a_payload_is(onnuri):
    text = " ".join(re.sub(r"[│╭╮╰╯─]", " ", onnuri("say", "--help").out).split())
    assert [kind for kind in KINDS if kind not in text] == []
    assert "JSON object" in text


def test_who_lacks_a_right_is_told_on_what_and_what_to_do(onnuri, published, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    ended = onnuri("incidents", published=published)
    assert ended.said.startswith(f"onnuri: {published / 'manifest.json'}: Permission denied. Let the user that onnuri runs as")


@pytest.mark.parametrize("content", [b'{"sequence": 1,', b"{}", b"[]", b"\xff"])
def test_a_manifest_that_is_cut_is_one_message_and_a_finding(onnuri, tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    ended = onnuri("incidents", published=tmp_path)
    assert ended.code == 1
    assert f"{tmp_path / 'manifest.json'} is no manifest" in ended.said
    found = onnuri("doctor", "--format", "json", published=tmp_path)
    assert found.code == 1
    checks = {entry["name"]: entry for entry in json.loads(found.out) if entry["kind"] == "check"}
    assert "is no manifest" in checks["published"]["value"] and checks["clock"]["ok"]


def test_what_doctor_may_not_read_is_a_finding(onnuri, tmp_path):
    (tmp_path / "file").write_text("no folder")
    found = onnuri("doctor", "--format", "json", published=tmp_path / "file", warehouse=tmp_path / "file" / "w.duckdb")
    checks = {entry["name"]: entry for entry in json.loads(found.out) if entry["kind"] == "check"}
    assert found.code == 1
    assert checks["published"]["ok"] is False and "Not a directory" in checks["published"]["value"]


def test_a_bug_is_no_error_of_use(onnuri, monkeypatch, published):
    monkeypatch.setattr(cli, "show", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        onnuri("sql", "SELECT 1", published=published)


def test_an_index_out_of_range_is_a_bug_and_no_error_of_use(onnuri, monkeypatch, published):
    monkeypatch.setattr(cli, "show", lambda *_: [].pop())
    with pytest.raises(IndexError):
        onnuri("sql", "SELECT 1", published=published)


def test_json_is_what_programs_can_read(onnuri, published):
    shown = onnuri("sql", "SELECT market_id, approved_amount, minute_at FROM market_minute ORDER BY 1", "--format", "json", published=published)
    assert shown.code == 0
    assert [(row["market_id"], row["approved_amount"], row["minute_at"]) for row in json.loads(shown.out)] == [
        ("m0001", 25_000, "2025-03-01 03:00:00"),
        ("m0002", 25_000, "2025-03-01 03:00:00"),
    ]


def test_sums_of_money_are_numbers_in_json(onnuri, published):
    shown = onnuri("sql", "SELECT sum(approved_amount) AS krw FROM market_minute", "--format", "json", published=published)
    assert json.loads(shown.out) == [{"krw": 50_000}]
    assert "50,000" in onnuri("sql", "SELECT sum(approved_amount) AS krw FROM market_minute", published=published).out


def test_csv_has_no_cell_that_a_spreadsheet_runs(onnuri, published):
    shown = onnuri("sql", "SELECT name, region, -1 AS number, NULL AS nothing FROM market ORDER BY market_id", "--format", "csv", published=published)
    assert rows(shown.out) == [
        {"name": "'" + MARKETS[0]["name"], "region": "대구광역시", "number": "-1", "nothing": ""},
        {"name": MARKETS[1]["name"], "region": "'+82", "number": "-1", "nothing": ""},
    ]


def test_json_and_parquet_keep_texts_as_they_are(onnuri, published, tmp_path):
    shown = onnuri("sql", "SELECT name FROM market ORDER BY market_id", "--format", "json", published=published)
    assert json.loads(shown.out)[0]["name"] == MARKETS[0]["name"]
    assert onnuri("export", "market", "--out", tmp_path / "m.parquet", published=published).code == 0
    assert set(pl.read_parquet(tmp_path / "m.parquet")["name"]) == {market["name"] for market in MARKETS}


def test_a_csv_file_has_the_mark_by_which_spreadsheets_read_hangul_and_a_pipe_has_none(onnuri, published, tmp_path):
    asked = ["sql", "SELECT market_id, name, region FROM market ORDER BY market_id"]
    assert onnuri(*asked, "--out", tmp_path / "m.csv", published=published).code == 0
    piped = onnuri(*asked, "--format", "csv", published=published).out
    assert piped.startswith("market_id,")
    assert (tmp_path / "m.csv").read_bytes() == b"\xef\xbb\xbf" + piped.encode()
    assert [market.market_id for market in read_markets(tmp_path / "m.csv").markets] == ["m0001", "m0002"]
    assert read_table(tmp_path / "m.csv", "--sales").columns == pl.read_csv(tmp_path / "m.csv").columns == ["market_id", "name", "region"]
    assert onnuri(*asked, "--out", tmp_path / "m.json", published=published).code == 0
    assert (tmp_path / "m.json").read_bytes().startswith(b"[")


def test_lists_in_csv_are_json_text(onnuri, published):
    shown = onnuri("sql", "SELECT [1, 2] AS list, {'a': '시장'} AS struct", "--format", "csv", published=published)
    assert rows(shown.out) == [{"list": "[1, 2]", "struct": '{"a": "시장"}'}]


def test_an_empty_result_still_is_json_and_csv(onnuri, published):
    assert json.loads(onnuri("incidents", "--format", "json", published=published).out) == []
    assert onnuri("incidents", "--format", "csv", published=published).out.startswith("incident_id,")


def test_a_time_that_is_listed_is_korean_says_so_and_can_be_given_back(onnuri, tmp_path):
    onset, noon = "2025-03-01T10:05:00+09:00", "2025-03-01T12:00:00+09:00"
    folder = publish(tmp_path, ("incident_declared", {"scope": "nation", "onset_at": onset, "ended_at": "2025-03-01T10:30:00+09:00"}))
    for form, read in (("json", json.loads), ("csv", rows)):
        assert [row["onset_at"] for row in read(onnuri("incidents", "--format", form, published=folder).out)] == [onset]
        listed = read(onnuri("unknown", "--format", form, published=folder).out)
        assert [(row["first_at"], row["last_at"]) for row in listed] == [(noon, noon)]
    assert onset in onnuri("incidents", published=folder).out and noon in onnuri("unknown", published=folder).out
    assert onnuri("incidents", "--format", "parquet", "--out", tmp_path / "i.parquet", published=folder).code == 0
    onsets = pl.read_parquet(tmp_path / "i.parquet")["onset_at"]
    assert (onsets.dtype, onsets.to_list()) == (pl.Datetime("us", "Asia/Seoul"), [datetime.fromisoformat(onset)])
    for command in ("incidents", "unknown"):
        assert onnuri(command, "--out", tmp_path / f"{command}.xlsx", published=folder).code == 0
        with zipfile.ZipFile(tmp_path / f"{command}.xlsx") as book:
            assert "_at (+09:00)</t>" in book.read("xl/sharedStrings.xml").decode()


@pytest.mark.parametrize("command", ["sql", "export"])
def test_what_gives_the_tables_as_they_are_says_whose_times_they_hold(onnuri, command):
    assert "times are UTC" in " ".join(onnuri(command, "--help").out.split())


def test_a_table_shows_brackets_as_they_are(onnuri, published):
    shown = onnuri("sql", "SELECT name, true AS open FROM market ORDER BY market_id", published=published)
    assert "[/b] 시장" in shown.out
    assert "yes" in shown.out


def test_a_table_shows_marks_that_act_on_a_terminal_as_their_escapes(onnuri, published):
    shown = onnuri("sql", "SELECT chr(27) || '[2J' || chr(8238) || '시장 1' AS name", published=published)
    assert "\\x1b[2J\\u202e시장 1" in shown.out
    assert not {"\x1b", "\u202e"} & set(shown.out)


@pytest.mark.parametrize(("ending", "read"), [("csv", pl.read_csv), ("json", pl.read_json), ("parquet", pl.read_parquet)])
def test_a_table_is_exported_whole(onnuri, published, tmp_path, ending, read):
    assert onnuri("export", "market_minute", "--out", tmp_path / f"m.{ending}", published=published).code == 0
    assert read(tmp_path / f"m.{ending}")["approved_amount"].to_list() == [25_000, 25_000]


@pytest.mark.parametrize(
    ("name", "form", "read"),
    [
        ("q.csv", (), lambda file: rows(file.read_text("utf-8-sig"))),
        ("q.CSV", (), lambda file: rows(file.read_text("utf-8-sig"))),
        ("q.json", (), lambda file: json.loads(file.read_text())),
        ("q.parquet", (), lambda file: pl.read_parquet(file).to_dicts()),
        ("q.xlsx", (), lambda file: [{"n": 7}] if zipfile.is_zipfile(file) else []),
        ("q.txt", ("--format", "csv"), lambda file: rows(file.read_text("utf-8-sig"))),
        ("q.csv", ("--format", "csv"), lambda file: rows(file.read_text("utf-8-sig"))),
    ],
)
def test_a_file_has_the_form_that_its_ending_says_or_where_that_says_none_the_one_asked_for(onnuri, published, tmp_path, name, form, read):
    assert onnuri("sql", "SELECT 7 AS n", "--out", tmp_path / name, *form, published=published).code == 0
    assert [int(row["n"]) for row in read(tmp_path / name)] == [7]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--out", "inc.csv", "--format", "json"), "--format json and --out inc.csv name two forms. Leave --format out, or write --out inc.json"),
        (("--out", "inc.txt"), "inc.txt should end in .json, .csv, .parquet or .xlsx, or say the form with --format"),
        (("--out", "inc.csv", "--format", "table"), "--format table is for the terminal, got --out inc.csv"),
    ],
)
def test_an_ending_that_is_not_the_form_asked_for_is_told(onnuri, published, given, message):
    said = " ".join(re.sub("[│╭╮╰╯─]", " ", onnuri("incidents", *given, published=published).said).split())
    assert message in said


def test_a_workbook_is_exported_with_names_that_no_spreadsheet_runs(onnuri, published, tmp_path):
    assert onnuri("export", "market", "--out", tmp_path / "m.xlsx", published=published).code == 0
    with zipfile.ZipFile(tmp_path / "m.xlsx") as book:
        sheet, strings = (book.read(f"xl/{name}.xml").decode() for name in ("worksheets/sheet1", "sharedStrings"))
    assert "<f>" not in sheet
    assert "'=HYPERLINK" in strings
    assert "'+82" in strings


@pytest.mark.parametrize(
    "text",
    ["DROP VIEW market", "DELETE FROM market", "COPY market TO '{file}'", "WITH x AS (COPY market TO '{file}') FROM x", "SELECT * FROM read_text('{secret}')"],
)
def test_sql_only_reads_what_is_published(onnuri, published, tmp_path, text):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="utf-8")
    ended = onnuri("sql", text.format(file=tmp_path / "stolen.csv", secret=secret), "--format", "json", published=published)
    assert (ended.code, ended.out, [file.name for file in tmp_path.iterdir()]) == (1, "", ["secret.txt"])
    assert ended.said.startswith("onnuri: ")
    assert json.loads(onnuri("sql", "SELECT count(*) AS n FROM market", "--format", "json", published=published).out) == [{"n": 2}]


def test_raw_payments_in_an_own_file_are_summed_up_and_that_is_said():
    moment = datetime(2025, 3, 1, 10, 0, 7)
    at = [moment, moment + timedelta(seconds=20), moment + timedelta(minutes=5)]
    payments = pl.DataFrame({"at": at, "market_id": ["m1", "m1", "m2"], "sales": [10_000, 25_000, 5_000]})
    sums, said = summed_up(payments)
    assert sorted(sums.rows()) == [(datetime(2025, 3, 1, 10, 0), "m1", 35_000), (datetime(2025, 3, 1, 10, 5), "m2", 5_000)]
    assert "3 rows were summed up to 2" in said[0]


def test_sums_in_an_own_file_stay_and_a_file_read_twice_is_not_summed_up():
    at = [datetime(2025, 3, 1, hour) for hour in (10, 11)]
    sums = pl.DataFrame({"at": at, "market_id": ["m1", "m1"], "sales": [10_000, 25_000]})
    assert summed_up(sums)[1] == []
    twice = pl.concat([sums, sums])
    assert summed_up(twice)[0].equals(twice)


def test_an_own_sales_file_is_estimated_without_a_warehouse(onnuri, tmp_path):
    at = [NOON - timedelta(days=35) + timedelta(minutes=30 * n) for n in range(36 * 48)]
    outage = NOON - timedelta(hours=1)
    pl.DataFrame({"at": at, "market_id": "m1", "sales": [0 if moment >= outage else 1_000 for moment in at]}).write_parquet(tmp_path / "sales.parquet")
    window = ["--from", outage.isoformat(), "--to", (outage + timedelta(hours=4)).isoformat()]
    shown = onnuri("estimate", "--sales", tmp_path / "sales.parquet", *window, "--format", "json")
    (row,) = json.loads(shown.out)
    assert row["observed"] == 0
    assert row["low"] <= row["lost"] <= row["high"]
    assert row["lost"] == pytest.approx(8_000, rel=0.2)
    assert isinstance(row["method"], str)
    assert row["from"] == outage.astimezone(ZoneInfo("Asia/Seoul")).isoformat(timespec="minutes") and row["from"].endswith("+09:00")


def test_an_estimate_says_what_its_interval_covers_in_every_form(onnuri, tmp_path):
    at = [NOON - timedelta(days=35) + timedelta(minutes=30 * n) for n in range(36 * 48)]
    pl.DataFrame({"at": at, "market_id": "m1", "sales": 1_000}).write_parquet(tmp_path / "sales.parquet")
    window = ["--from", (NOON - timedelta(hours=1)).isoformat(), "--to", (NOON + timedelta(hours=3)).isoformat()]
    asked = ["estimate", "--sales", tmp_path / "sales.parquet", *window, "--level", "0.505"]
    assert [row["level"] for row in json.loads(onnuri(*asked, "--format", "json").out)] == [0.505]
    assert [row["level"] for row in rows(onnuri(*asked, "--format", "csv").out)] == ["0.505"]
    printed = onnuri(*asked).out
    assert "level" in printed and "50.5%" in printed


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_doctor_masks_the_key(onnuri, form):
    shown = onnuri("doctor", "--format", form, user_key="a-secret-of-ours")
    assert "ONNURI_USER_KEY" in shown.out
    assert "a-secret-of-ours" not in shown.out + shown.said
    assert "****" in shown.out


def test_doctor_lists_every_setting_and_its_findings_for_programs(published, tmp_path):
    # A process of its own: kafka-python leaves the sockets of tries that failed to the end of the process.
    environment = {**os.environ, "ONNURI_PUBLISHED": str(published), "ONNURI_KAFKA": NOWHERE}
    command = [sys.executable, "-m", "streams.cli", "doctor", "--format"]
    shown = subprocess.run([*command, "json"], env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    entries = json.loads(shown.stdout)
    assert {entry["name"] for entry in entries if entry["kind"] == "setting"} == {f"ONNURI_{name.upper()}" for name in Settings.model_fields}
    checks = {entry["name"]: entry for entry in entries if entry["kind"] == "check"}
    assert checks["broker"]["ok"] is False
    assert f"No broker answers at {NOWHERE}" in checks["broker"]["value"]
    assert checks["published"]["ok"] is False, "the state is of 2025"
    assert shown.returncode == 1


def test_doctor_s_csv_is_one_table(onnuri, published):
    listed = rows(onnuri("doctor", "--format", "csv", published=published).out)
    assert {row["kind"] for row in listed} == {"setting", "check"}
    assert {row["name"] for row in listed} >= {"ONNURI_KAFKA", "disk"}


def test_errors_of_the_database_are_told_in_its_own_words(onnuri, published):
    with pytest.raises(duckdb.Error) as raised, duckdb.connect() as connection:
        connection.sql("SELECT nothing FROM nowhere")
    ended = onnuri("sql", "SELECT nothing FROM nowhere", published=published)
    assert str(raised.value).splitlines()[0].split("!")[0] in ended.said


def test_a_table_that_goes_into_a_pipe_is_not_cut(capsys):
    wide = {f"column_{number}": [f"a text of some length in column {number}"] for number in range(20)}
    show(pl.DataFrame(wide), Format.table)
    printed = capsys.readouterr().out
    assert all(text in printed for (text,) in wide.values())


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_dashboard_s_command_ends_the_dashboard(tmp_path, how):
    port = free_port()
    environment = {**os.environ, "ONNURI_DASHBOARD_PORT": str(port), "ONNURI_PUBLISHED": str(tmp_path / "published")}
    command = [sys.executable, "-m", "streams.cli", "dashboard"]
    with subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[1], start_new_session=True) as started:
        try:
            assert answers_in_time(port)
            started.send_signal(how)
            started.wait(20)
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.1", port), 2)
        finally:
            # Whatever of it lives on is in its session.
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)


def answers_in_time(port):
    """Whether the dashboard on this port answers within a minute."""
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
            return answer.status == 200
        time.sleep(0.1)
    return False
