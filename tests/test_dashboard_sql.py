"""SQL of a person: it reads the published tables, and there is nothing else that it can reach."""

import io
import os
import re
import shutil
import zipfile
from pathlib import Path

import polars as pl
import pytest

from dashboard.files import written
from tests.dashboard_data import publish_launch_day
from warehouse.questions import QuestionError, answered
from warehouse.reading import Manifest, ManifestError


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("published"))


def test_a_question_is_answered_from_the_published_tables(published: Path) -> None:
    answer = answered(published, "SELECT region, count(*) AS markets FROM market GROUP BY region ORDER BY region; -- six regions")
    assert answer.frame["markets"].to_list() == [5] * 6
    assert not answer.cut


@pytest.mark.parametrize("left", [20, None])
def test_published_files_that_are_cut_or_gone_are_told(left: int | None, published: Path, tmp_path: Path) -> None:
    copied = Path(shutil.copytree(published, tmp_path / "published"))
    file = copied / Manifest.read(copied).files["market"][0]
    file.unlink() if left is None else os.truncate(file, left)
    with pytest.raises(ManifestError, match="cannot be read"):
        answered(copied, "SELECT count(*) FROM market")


def test_a_large_answer_is_refused_with_what_to_do(published: Path) -> None:
    with pytest.raises(QuestionError, match=r"more than 128 MB\. Ask for fewer rows"):
        answered(published, "SELECT repeat('x', 50000) FROM range(10000)")


def test_an_answer_without_rows_has_its_columns(published: Path) -> None:
    assert answered(published, "SELECT name FROM market WHERE false").frame.columns == ["name"]


@pytest.mark.parametrize("table", ["payment", "command", "lost_range"])
def test_what_is_not_published_is_not_taken_for_empty(table: str, published: Path) -> None:
    with pytest.raises(QuestionError, match=f"Table with name {table} does not exist"):
        answered(published, f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize(
    ("text", "columns", "first"),
    [
        ("SELECT ended_at - onset_at AS lasted FROM incident ORDER BY onset_at", ["lasted"], ("00:41:00",)),
        ("SELECT [INTERVAL 1 HOUR] AS spans, '101'::BIT AS bits", ["spans", "bits"], ("['01:00:00']", "101")),
        ("SELECT a.region, b.region FROM market a JOIN market b USING (market_id) ORDER BY ALL", ["region", "region_1"], ("경기도", "경기도")),
        ("SELECT 1 AS n, 2 AS N, 3 AS n_1, 4 AS n; -- '값';", ["n", "N_1", "n_1_1", "n_2"], (1, 2, 3, 4)),
        ('SELECT 1 AS "say ""it""", 2 AS "say ""it"""', ['say "it"', 'say "it"_1'], (1, 2)),
        ("DESCRIBE SELECT 1 AS one", ["column_name", "column_type", "null", "key", "default", "extra"], ("one", "INTEGER", "YES", None, None, None)),
    ],
)
def test_spans_of_time_and_names_that_come_twice_are_answered_too(text: str, columns: list[str], first: tuple[object, ...], published: Path) -> None:
    frame = answered(published, text).frame
    assert (frame.columns, frame.row(0)) == (columns, first)
    with zipfile.ZipFile(io.BytesIO(written(frame, "xlsx"))) as book:
        assert book.read("xl/worksheets/sheet1.xml").decode().count("<row ") == 1 + len(frame)


def test_a_column_that_no_frame_holds_is_refused_with_what_to_do(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warehouse.questions.AS_TEXT", re.compile("nothing"))
    for text in ("SELECT INTERVAL 1 HOUR AS span", "SELECT [INTERVAL 1 HOUR] AS spans"):
        with pytest.raises(QuestionError, match="::VARCHAR"):
            answered(published, text)


def test_a_long_answer_is_cut_and_says_so(published: Path) -> None:
    answer = answered(published, "SELECT minute_at FROM market_minute ORDER BY minute_at", rows=100)
    assert len(answer.frame) == 100
    assert answer.cut
    assert answer.frame["minute_at"].is_sorted()


@pytest.mark.parametrize(
    "text",
    [
        "COPY market TO '{folder}/stolen.csv'",
        "WITH stolen AS (COPY market TO '{folder}/stolen.csv') FROM stolen",
        "EXPLAIN ANALYZE COPY market TO '{folder}/stolen.csv'",
        "FROM query('COPY market TO ''{folder}/stolen.csv''')",
        "EXPORT DATABASE '{folder}/stolen.csv'",
        "ATTACH '{folder}/stolen.csv'",
        "CREATE TABLE stolen AS FROM market",
        "DELETE FROM market",
        "SELECT 1; SELECT 2",
        "",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "LOAD httpfs",
    ],
)
def test_what_would_write_or_change_is_refused(text: str, published: Path, tmp_path: Path) -> None:
    before = sorted(published.rglob("*"))
    with pytest.raises(QuestionError):
        answered(published, text.format(folder=tmp_path))
    assert not list(tmp_path.iterdir())
    assert sorted(published.rglob("*")) == before


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('{file}')",
        "FROM '{file}'",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM glob('{file}*')",
        "SELECT * FROM read_parquet('https://127.0.0.1:9/x.parquet')",
        "SELECT * FROM read_text('{published}/manifest.json')",
        "FROM secret_frame",
    ],
)
def test_files_network_and_variables_are_out_of_reach(text: str, published: Path, tmp_path: Path) -> None:
    secret_frame = pl.DataFrame({"secret": [1]})
    file = tmp_path / "secret.txt"
    file.write_text(str(secret_frame), encoding="utf-8")
    with pytest.raises(QuestionError):
        answered(published, text.format(file=file, published=published))


def test_a_question_that_takes_too_long_is_stopped(published: Path) -> None:
    with pytest.raises(QuestionError, match=r"Stopped after 0\.2 seconds"):
        answered(published, "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7", seconds=0.2)


def test_the_next_question_is_answered_after_one_was_stopped(published: Path) -> None:
    with pytest.raises(QuestionError):
        answered(published, "SELECT count(*) FROM range(100000000) a, range(100000000) b WHERE a.range + b.range = 7", seconds=0.1)
    assert answered(published, "SELECT 1 AS one").frame["one"].to_list() == [1]


@pytest.mark.parametrize("form", ["csv", "xlsx", "parquet"])
def test_an_answer_as_a_file_holds_its_rows_and_runs_nothing(form: str, tmp_path: Path) -> None:
    answer = pl.DataFrame({"name": ["=cmd|' /C calc'!A1", "가람시장"], "sales": [-5, 7], "parts": [[1, 2], None]})
    file = tmp_path / f"answer.{form}"
    file.write_bytes(written(answer, form))
    if form == "parquet":
        assert pl.read_parquet(file).equals(answer)
    elif form == "csv":
        assert file.read_text(encoding="utf-8-sig").splitlines() == ["name,sales,parts", "'=cmd|' /C calc'!A1,-5,\"[1, 2]\"", "가람시장,7,"]
    else:
        with zipfile.ZipFile(file) as book:
            assert "<f>" not in book.read("xl/worksheets/sheet1.xml").decode()
            assert "가람시장" in book.read("xl/sharedStrings.xml").decode()
