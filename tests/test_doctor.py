"""What ``onnuri doctor`` finds on the machine itself."""

import errno
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import pytest

from streams import doctor
from streams.settings import Settings
from tests.events_data import NOON, chunk, payment
from warehouse.ingest import Writer
from warehouse.publishing import Publisher
from warehouse.reading import Manifest


@pytest.fixture
def settings(tmp_path):
    """Of a line that published something at noon."""
    writer = Writer(tmp_path / "w.duckdb", NOON)
    writer.apply([chunk("payments", [payment(1)])], NOON, lambda _: None)
    Publisher(writer.connection, tmp_path / "published").publish(NOON, NOON, {}, {})
    writer.close()
    return Settings(warehouse=tmp_path / "w.duckdb")


def finding(settings, check, wall=NOON):
    (found,) = [one for one in doctor.findings(settings, wall) if one.check == check]
    return found


def test_the_address_of_a_chat_s_webhook_is_a_secret(settings):
    alerting = settings.model_copy(update={"alert_url": "https://alarm:pass@hooks.example/services/T000/secret"})
    shown = dict(doctor.settings_frame(alerting).select("setting", "value").iter_rows())
    assert shown["ONNURI_ALERT_URL"] == "https://hooks.example/**********"


def test_a_clock_that_is_behind_what_was_published_is_found(settings):
    assert finding(settings, "clock").ok
    assert finding(settings, "clock", NOON + timedelta(days=1)).ok
    behind = finding(settings, "clock", NOON - timedelta(minutes=2))
    assert not behind.ok and "The newest published state is 120 s ahead" in behind.finding


@pytest.mark.parametrize("missing", ["payments", "incidents", "dead-letters", "clock"])
def test_every_topic_that_a_worker_reads_or_writes_is_looked_for(settings, monkeypatch, missing):
    line = settings.model_copy(update={"kafka": "127.0.0.1:9", "topic_prefix": "x.", "clock": "replay"})
    there = {"payments", "errors", "service_load", "commands", "clock", "incidents", "dead-letters"}
    monkeypatch.setattr(doctor, "refusal", lambda *_: None)
    monkeypatch.setattr(doctor, "newest_times", lambda *_: {})
    monkeypatch.setattr(doctor, "compacted", lambda *_: set())
    monkeypatch.setattr(doctor, "topic_ids", lambda _kafka, topics, _access: {name: "id" for name in topics if name.removeprefix("x.") in there})
    assert finding(line, "broker").ok
    there.remove(missing)
    found = finding(line, "broker")
    assert not found.ok and f"missing: x.{missing}." in found.finding
    # Only a replay has a clock.
    assert finding(line.model_copy(update={"clock": "wall"}), "broker").ok == (missing == "clock")


@pytest.mark.parametrize("damage", ["removed", "cut"])
def test_a_published_file_that_readers_are_told_of_and_cannot_read_is_found(settings, damage):
    assert finding(settings, "files").ok
    (named,) = Manifest.read(settings.published_folder).files["market_minute"]
    file = settings.published_folder / named
    if damage == "removed":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:100])
    found = finding(settings, "files")
    assert not found.ok and f"cut or not to be read: {named}. " in found.finding and "onnuri worker" in found.finding


def test_that_a_reader_of_a_lake_does_not_know_the_lag_is_no_fault(settings, monkeypatch):
    unknown = replace(Manifest.read(settings.published_folder), lag=None)
    monkeypatch.setattr(Manifest, "read", lambda _: unknown)
    assert not finding(settings, "lag").ok
    reader = settings.model_copy(update={"published": Path("ducklake:postgres:host=db")})
    assert finding(reader, "lag").ok
    assert "lake" in finding(reader, "lag").finding
    # What its manifest would name is in no folder.
    assert finding(reader, "files").ok


def test_korean_time_is_told_and_its_absence_found(settings, monkeypatch):
    assert f"It is {(NOON + timedelta(hours=9)):%H:%M} in Korea" in finding(settings, "time zone").finding

    def without(name):
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr(doctor, "ZoneInfo", without)
    assert not finding(settings, "time zone").ok


def test_a_disk_that_may_not_be_looked_at_is_a_finding(settings, monkeypatch):
    def refused(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(doctor.shutil, "disk_usage", refused)
    assert not finding(settings, "disk").ok and f"{settings.warehouse.parent}: Permission denied" in finding(settings, "disk").finding


def test_missing_fonts_are_found(settings, monkeypatch):
    assert finding(settings, "fonts").ok
    monkeypatch.setattr(doctor, "find_spec", lambda _: None)
    assert not finding(settings, "fonts").ok


def test_versions_are_told_and_a_missing_package_found(settings, monkeypatch):
    assert finding(settings, "versions").ok and "duckdb " in finding(settings, "versions").finding
    monkeypatch.setattr(doctor, "PARTS", ("duckdb", "no-such-package"))
    assert not finding(settings, "versions").ok and "Missing: no-such-package" in finding(settings, "versions").finding
