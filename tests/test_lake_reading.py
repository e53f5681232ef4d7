"""A lake read as published files are: the same tables, the same report, and the same again from the snapshot that a report names."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboard.report.author import read_author
from dashboard.report.writing import write_report
from tests.dashboard_data import LAUNCH, SEOUL, publish_launch_day
from tests.lakes import STORES, make_lake
from warehouse import connection
from warehouse.lake import Lake
from warehouse.lake_reading import LakeAwayError, newest
from warehouse.lake_writer import LakeWriter
from warehouse.questions import QuestionError, answered
from warehouse.reading import LAKE_TABLES, Manifest, open_snapshot
from warehouse.settling import SUMMED

NOW = datetime(2025, 3, 1, 20, 0, 1, 5, tzinfo=SEOUL)
EXAMPLE = Path(__file__).parents[1] / "docs" / "report-example"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish_launch_day(tmp_path_factory.mktemp("lake-reading"), published_at=NOW)


@pytest.fixture(params=STORES[1:])
def lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    made = make_lake(request, tmp_path)
    assert made is not None
    return made


def fill(lake: Lake, published: Path) -> LakeWriter:
    """A lake that holds what was published, with the writer that filled it."""
    writer = LakeWriter(lake, NOW)
    state = Manifest.read(published)
    with open_snapshot(published) as snapshot, writer.transaction():
        for table in LAKE_TABLES[1:]:
            rows = snapshot.sql(f'FROM "{table}"')
            if len(rows):
                copies = ", 1 AS copies" if table == "failed_purchase" else ""
                where = f"settled.{table}" if table in SUMMED else table
                writer.connection.execute(f"INSERT INTO {where} BY NAME SELECT *{copies} FROM rows")
        assert state.watermark is not None
        writer.connection.execute(
            "UPDATE line SET watermark = ?, clock_at = ?", [moment.astimezone(UTC).replace(tzinfo=None) for moment in (state.watermark, state.now)]
        )
        writer.connection.execute("INSERT INTO settled.table_version SELECT unnest(['incident', 'market']), 1")
    return writer


def test_tables_of_a_lake_are_those_that_were_published(lake: Lake, published: Path) -> None:
    fill(lake, published).close()
    with open_snapshot(published) as files, open_snapshot(Path(lake.target)) as snapshot:
        for table in LAKE_TABLES:
            assert Counter(snapshot.sql(f'FROM "{table}"').rows()) == Counter(
                files.sql(f'SELECT {", ".join(snapshot.sql(f"DESCRIBE {table}")["column_name"])} FROM "{table}"').rows()
            ), table
        assert snapshot.manifest.now == files.manifest.now
        assert snapshot.manifest.watermark == files.manifest.watermark
        assert snapshot.manifest.lag is None


def test_a_report_is_made_again_from_its_snapshot(lake: Lake, published: Path) -> None:
    writer = fill(lake, published)
    target, author = Path(lake.target), read_author(EXAMPLE)
    first = write_report(target, LAUNCH, author, "ko")
    number = first.report.provenance.manifest.sequence
    assert f"{number}" in first.files["html"].decode()
    writer.connection.execute("INSERT INTO fresh_0.market_minute BY NAME SELECT * REPLACE (approved + 5 AS approved) FROM market_minute LIMIT 1000")
    writer.connection.execute("UPDATE line SET clock_at = clock_at + INTERVAL 1 MINUTE")
    newer = write_report(target, LAUNCH, author, "ko")
    assert newer.report.provenance.manifest.sequence > number
    assert newer.report.provenance.inputs != first.report.provenance.inputs
    for upkeep in ("CALL ducklake_flush_inlined_data('lake')", "CALL ducklake_merge_adjacent_files('lake')", "CALL ducklake_rewrite_data_files('lake')"):
        writer.connection.execute(upkeep)
    again = write_report(target, LAUNCH, author, "ko", snapshot=number)
    assert again.files == first.files
    of_files = write_report(published, LAUNCH, author, "ko").report
    assert of_files.figures.shortfall == first.report.figures.shortfall
    with pytest.raises(LookupError, match="no snapshot 99999"):
        write_report(target, LAUNCH, author, "ko", snapshot=99_999)
    writer.close()


def test_a_lake_of_before_editions_kept_their_window_keeps_them_and_can_be_read_as_it_was(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    every = connection._migrations()
    monkeypatch.setattr(connection, "_migrations", lambda: [one for one in every if "edition_window" not in one[0]])
    old = LakeWriter(lake, NOW)
    old.connection.execute("INSERT INTO incident (incident_id) VALUES ('i')")
    old.connection.execute("INSERT INTO report_edition (edition_id, incident_id, stage, issued_at) VALUES (uuid(), 'i', 'first', now()::TIMESTAMP)")
    old.close()
    number = newest(lake)
    monkeypatch.setattr(connection, "_migrations", lambda: every)
    new = LakeWriter(lake, NOW)
    new.connection.execute(
        "INSERT INTO report_edition BY NAME SELECT uuid() AS edition_id, 'i' AS incident_id, 'interim' AS stage, now()::TIMESTAMP AS issued_at, now()::TIMESTAMP AS window_start"
    )
    new.connection.execute("CALL ducklake_flush_inlined_data('lake')")
    for snapshot_number, told in ((number, [("first", False)]), (None, [("first", False), ("interim", True)])):
        with open_snapshot(Path(lake.target), snapshot_number) as snapshot:
            editions = snapshot.query("report_editions", incident_id="i")
        assert [(row["stage"], row["window_start"] is not None) for row in editions.iter_rows(named=True)] == told
    new.close()


def test_files_keep_no_earlier_states(published: Path) -> None:
    with pytest.raises(LookupError, match="only the newest state is kept"):
        open_snapshot(published, 1)


def test_a_snapshot_does_not_change_while_it_is_read(lake: Lake, published: Path) -> None:
    writer = fill(lake, published)
    with open_snapshot(Path(lake.target)) as snapshot:
        before = snapshot.sql("SELECT sum(approved) FROM market_minute").rows()
        writer.connection.execute("DELETE FROM settled.market_minute")
        assert snapshot.sql("SELECT sum(approved) FROM market_minute").rows() == before
    with open_snapshot(Path(lake.target)) as snapshot:
        assert snapshot.sql("SELECT sum(approved) FROM market_minute").rows() == [(None,)]
    writer.close()


def test_questions_to_a_lake_have_no_way_out(lake: Lake, published: Path, tmp_path: Path) -> None:
    fill(lake, published).close()
    target = Path(lake.target)
    with open_snapshot(published) as files:
        expected = files.sql("SELECT count(*), sum(approved) FROM market_minute JOIN market USING (market_id)").rows()
    assert answered(target, "WITH m AS (FROM market_minute) SELECT count(*), sum(approved) FROM m JOIN market USING (market_id)").frame.rows() == expected
    assert answered(target, "SELECT sum(approved) IS NOT NULL FROM main.nation_minute").frame.rows() == [(True,)]
    # A name that is put together is not seen, and that is said.
    with pytest.raises(QuestionError, match="market_minute does not exist"):
        answered(target, "FROM query_table('market' || '_minute')")
    attached = answered(target, "SELECT database_name FROM duckdb_databases() WHERE NOT internal").frame.rows()
    assert attached == [("memory",)]
    for way in (
        "FROM leader",
        "FROM payment_of_another",
        "FROM ducklake_snapshots('lake')",
        "FROM postgres_query('lake', 'SELECT 1')",
        f"FROM read_parquet('{tmp_path}/data/**/*.parquet')",
        f"WITH x AS (COPY (SELECT 1) TO '{tmp_path}/out.csv') FROM x",
    ):
        with pytest.raises(QuestionError):
            answered(target, way)
    assert not (tmp_path / "out.csv").exists()


def test_a_lake_that_does_not_answer_is_told_without_how_it_is_reached(tmp_path: Path) -> None:
    for target in (f"ducklake:sqlite:{tmp_path}/none.sqlite", "ducklake:postgres:host=127.0.0.1 port=1 dbname=x"):
        with pytest.raises(LakeAwayError) as away:
            Manifest.read(Path(target))
        assert "127.0.0.1" not in str(away.value) and str(tmp_path) not in str(away.value)
    assert not list(tmp_path.iterdir())
