"""What ``onnuri doctor`` finds on the machine itself."""

import errno
from datetime import timedelta
from zoneinfo import ZoneInfoNotFoundError

import pytest

from streams import doctor
from streams.settings import Settings
from tests.events_data import NOON, chunk, payment
from warehouse.ingest import Writer
from warehouse.publishing import Publisher


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


def test_a_clock_that_is_behind_what_was_published_is_found(settings):
    assert finding(settings, "clock").ok
    assert finding(settings, "clock", NOON + timedelta(days=1)).ok
    behind = finding(settings, "clock", NOON - timedelta(minutes=2))
    assert not behind.ok and "The newest published state is 120 s ahead" in behind.finding


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
