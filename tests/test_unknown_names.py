"""What nobody has told of counts under its name, and is listed for the operator."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from streams.doctor import findings
from streams.health import metrics
from streams.settings import Settings
from tests.events_data import NOON, chunk, failure, ms, payment
from warehouse.ingest import Writer
from warehouse.publishing import Publisher
from warehouse.reading import Manifest, open_snapshot

MARKET = {"market_id": "m0001", "name": "서문시장", "region": "대구광역시"}
LOAD = {"occurred_at": ms(NOON), "attempts": 10, "succeeded": 9, "failed": 1}


@pytest.fixture
def writer(tmp_path: Path) -> Iterable[Writer]:
    made = Writer(tmp_path / "w.duckdb", NOON)
    command = {"command_id": "c1", "occurred_at": ms(NOON), "actor": "test", "kind": "markets_imported", "payload": {"markets": [MARKET]}}
    write(made, chunk("commands", [command]))
    yield made
    made.close()


def write(writer: Writer, *chunks) -> None:
    writer.apply(chunks, NOON, lambda _: None)


def listed(writer: Writer, folder: Path) -> dict[tuple[str, str | None], int]:
    Publisher(writer.connection, folder).publish(NOON, NOON, {}, {})
    with open_snapshot(folder) as snapshot:
        return {(row["kind"], row["name"]): row["events"] for row in snapshot.query("unknown_names").to_dicts()}


def test_known_names_are_not_listed_and_issuers_are_because_nobody_has_a_list_of_them(writer, tmp_path):
    write(
        writer, chunk("payments", [payment(1), payment(2, channel=None)]), chunk("errors", [failure(3)]), chunk("service_load", [LOAD | {"service": "login"}])
    )
    assert listed(writer, tmp_path / "p") == {("issuer", "bc"): 2}


def test_unknown_names_are_counted_under_themselves_and_listed(writer, tmp_path):
    later = ms(NOON) + 60_000
    write(writer, chunk("payments", [payment(1, market_id="m9"), payment(2, market_id="m9", occurred_at=later), payment(3, channel="kiosk", issuer="x")]))
    write(writer, chunk("errors", [failure(4, service="drone", code="odd"), failure(5, code="odd")]), chunk("service_load", [LOAD | {"service": "robot"}]))
    assert listed(writer, tmp_path / "p") == {
        ("market", "m9"): 2,
        ("channel", "kiosk"): 1,
        ("service", "drone"): 1,
        ("service", "robot"): 1,
        ("code", "odd"): 2,
        ("issuer", "bc"): 2,
        ("issuer", "x"): 1,
    }
    found = writer.connection.execute("SELECT approved FROM market_minute WHERE market_id = 'm9' ORDER BY minute_at").fetchall()
    assert found == [(1,), (1,)]
    seen = writer.connection.execute("SELECT last_at - first_at FROM unknown_name WHERE name = 'm9'").fetchall()
    assert seen == [(timedelta(minutes=1),)]


def test_a_market_that_is_put_on_the_list_later_is_known_from_then_on(writer, tmp_path):
    write(writer, chunk("payments", [payment(1, market_id="m9")]))
    assert ("market", "m9") in listed(writer, tmp_path / "p")
    command = {
        "command_id": "c2",
        "occurred_at": ms(NOON),
        "actor": "test",
        "kind": "markets_imported",
        "payload": {"markets": [MARKET | {"market_id": "m9"}]},
    }
    write(writer, chunk("commands", [command], first_offset=1))
    assert listed(writer, tmp_path / "p") == {("issuer", "bc"): 1}


def test_a_market_is_known_whichever_form_of_unicode_the_list_and_the_events_have(writer, tmp_path):
    composed, decomposed = "\uac00", "\u1100\u1161"
    markets = [MARKET | {"market_id": decomposed}]
    command = {"command_id": "c2", "occurred_at": ms(NOON), "actor": "test", "kind": "markets_imported", "payload": {"markets": markets}}
    write(writer, chunk("commands", [command], first_offset=1))
    write(writer, chunk("payments", [payment(1, market_id=composed), payment(2, market_id=decomposed)]))
    assert listed(writer, tmp_path / "p") == {("issuer", "bc"): 2}
    assert writer.connection.execute("SELECT approved FROM market_minute").fetchall() == [(2,)]


def test_a_flood_of_invented_names_does_not_make_the_list_endless(writer):
    for start in (0, 6_000):
        names = range(start, start + 6_000)
        write(writer, chunk("payments", [payment(n, market_id=f"x{n}") for n in names], first_offset=start))
    run = writer.connection.execute
    assert run("SELECT count(*), sum(events) FROM unknown_name").fetchall() == [(10_001, 12_000)]
    assert run("SELECT events FROM unknown_name WHERE name IS NULL").fetchall() == [(2_000,)]
    write(writer, chunk("payments", [payment(20_000, market_id="x1"), payment(20_001, market_id="another")], first_offset=12_000))
    assert run("SELECT events FROM unknown_name WHERE name = 'x1' OR name IS NULL ORDER BY ALL").fetchall() == [(2,), (2_001,)]


def test_doctor_and_metrics_tell_how_many_there_are(writer, tmp_path):
    write(writer, chunk("payments", [payment(1, market_id="m9"), payment(2, market_id="m8"), b"?"]), chunk("errors", [failure(3, code="odd")]))
    body = Publisher(writer.connection, tmp_path / "published").publish(NOON, NOON, {}, {})
    told = metrics("running", body, 0, NOON).decode()
    assert 'onnuri_unknown_names{kind="market"} 2.0' in told
    assert 'onnuri_unknown_names{kind="service"} 0.0' in told
    assert 'onnuri_refusals{reason="malformed"} 1.0' in told
    said = {f.check: f.finding for f in findings(Settings(warehouse=tmp_path / "w.duckdb"), NOON)}
    assert "code 1, market 2" in said["names"]
    assert "malformed 1" in said["refused"]


def test_a_state_that_an_older_worker_published_is_readable(writer, tmp_path):
    body = Publisher(writer.connection, tmp_path / "p").publish(NOON, NOON, {}, {})
    manifest = tmp_path / "p" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"unknown_names"', '"something_else"'))
    assert Manifest.read(tmp_path / "p").unknown_names == {} == body["unknown_names"]
