"""Who may look and who may enter something, with and without an identity provider."""

from datetime import datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard import access, audit
from dashboard.command import command
from dashboard.settings import DashboardSettings
from tests.dashboard_data import publish_launch_day
from tests.test_dashboard_pages import words

SETTINGS = DashboardSettings.read({"ONNURI_ANALYSTS": "Analyst@example.org, second@example.org"})
PROVIDER = {
    "redirect_uri": "http://127.0.0.1:8501/oauth2callback",
    "cookie_secret": "not secret",
    "client_id": "onnuri",
    "client_secret": "not secret",
    "server_metadata_url": "http://127.0.0.1:1/.well-known/openid-configuration",
}


def test_without_a_provider_whoever_looks_may_enter_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "configured", lambda: False)
    assert access.may_say(SETTINGS)


@pytest.mark.parametrize(("address", "may"), [("analyst@EXAMPLE.org", True), ("second@example.org", True), ("viewer@example.org", False), ("", False)])
def test_where_people_sign_in_only_analysts_may_enter_something(address: str, may: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001
    monkeypatch.setattr(access, "configured", lambda: True)
    monkeypatch.setattr(access, "name", lambda: address)
    assert access.may_say(SETTINGS) is may


def test_nobody_sees_a_page_before_signing_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONNURI_PUBLISHED", str(publish_launch_day(tmp_path)))
    app = AppTest.from_file(str(Path(command()[4]).with_name("app.py")), default_timeout=60)
    app.secrets["auth"] = PROVIDER
    app.run()
    assert "로그인이 필요합니다" in words(app)
    assert "오늘 결제액" not in words(app)
    assert [button.label for button in app.button] == ["로그인"]


@pytest.mark.parametrize(
    ("address", "role"),
    [("analyst@example.org", "analyst"), ("any@viewers.org", "viewer"), ("one@example.com", "viewer"), ("viewers.org@example.net", None), ("", None)],
)
def test_a_role_is_an_address_s_or_its_domain_s_and_nobody_has_one_by_default(address: str, role: str | None) -> None:
    settings = DashboardSettings.read({"ONNURI_ANALYSTS": "Analyst@example.org", "ONNURI_VIEWERS": "@viewers.org, one@example.com"})
    assert access.role_of(address, settings) == role
    assert access.role_of(address, DashboardSettings.read({})) is None
    assert access.role_of("any@where.net", DashboardSettings.read({"ONNURI_VIEWERS": "*"})) == "viewer"


def test_the_audit_log_rolls_over_is_for_its_owner_alone_and_gives_the_newest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = DashboardSettings.read({"ONNURI_AUDIT_LOG": str(tmp_path / "logs" / "audit.jsonl"), "ONNURI_VIEWERS": "one@example.com,@example.org"})
    monkeypatch.setattr(audit, "BYTES", 400)
    audit._file.cache_clear()
    for number in range(9):
        audit.keep(settings, "asked", {"sql": "x" * 1_000, "number": number}, audit.mark("one@example.com"))
    file = settings.audit_log
    assert file is not None
    newest = audit.newest(settings, 5)
    assert [(line["who"], line["number"], len(line["sql"])) for line in newest] == [("one@example.com", "8", audit.LONGEST)]
    assert len(list(file.parent.iterdir())) > 2
    assert file.stat().st_mode & 0o777 == 0o600
    assert "example" not in file.read_text(encoding="utf-8")
    audit._file(file).close()


def test_a_link_cannot_put_words_into_the_audit_log_and_a_log_that_cannot_be_written_is_no_silence(tmp_path: Path) -> None:
    settings = DashboardSettings.read({"ONNURI_AUDIT_LOG": str(tmp_path / "audit.jsonl")})
    file = settings.audit_log
    assert file is not None
    audit.keep(settings, "seen", {"who": "somebody else", "did": "foo", "at": "bar", "page": "live"}, "me")
    (line,) = audit.newest(settings, 5)
    assert (line["who"], line["did"], line["page"]) == ("me", "seen", "live")
    assert datetime.fromisoformat(line["at"])
    file.rename(tmp_path / "away.jsonl")
    audit.keep(settings, "seen", {"page": "data"}, "me")
    assert [line["page"] for line in audit.newest(settings, 5)] == ["data"]
    assert file.stat().st_mode & 0o777 == 0o600
    file.unlink()
    file.mkdir()
    with pytest.raises(OSError, match="directory"):
        audit.keep(settings, "seen", {"page": "data"}, "me")


def test_without_a_file_nothing_is_kept(tmp_path: Path) -> None:
    settings = DashboardSettings.read({})
    audit.keep(settings, "seen", {"page": "live"}, "")
    assert audit.newest(settings, 5) == []
