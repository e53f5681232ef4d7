"""Who may look and who may enter something, with and without an identity provider."""

import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

import pytest
import streamlit as st
from streamlit.runtime.secrets import Secrets
from streamlit.testing.v1 import AppTest

from benchmarks._processes import REPOSITORY, dashboard
from dashboard import access, audit
from dashboard.command import command
from dashboard.settings import DashboardSettings
from tests.dashboard_data import publish_launch_day
from tests.test_dashboard_pages import shown, words

SETTINGS = DashboardSettings.read({"ONNURI_ANALYSTS": "Analyst@example.org, second@example.org"})
PROVIDER = {
    "redirect_uri": "http://127.0.0.1:8501/oauth2callback",
    "cookie_secret": "not secret",
    "client_id": "onnuri",
    "client_secret": "not secret",
    "server_metadata_url": "http://127.0.0.1:1/.well-known/openid-configuration",
}

SIGN_IN = "\n".join(["[auth]", *(f'{name} = "{value}"' for name, value in PROVIDER.items())])


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
    newest, _ = audit.newest(settings, 5)
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
    ((line,), _) = audit.newest(settings, 5)
    assert (line["who"], line["did"], line["page"]) == ("me", "seen", "live")
    assert datetime.fromisoformat(line["at"])
    file.rename(tmp_path / "away.jsonl")
    audit.keep(settings, "seen", {"page": "data"}, "me")
    assert [line["page"] for line in audit.newest(settings, 5)[0]] == ["data"]
    assert file.stat().st_mode & 0o777 == 0o600
    file.unlink()
    file.mkdir()
    with pytest.raises(OSError, match="directory"):
        audit.keep(settings, "seen", {"page": "data"}, "me")


def test_without_a_file_nothing_is_kept(tmp_path: Path) -> None:
    settings = DashboardSettings.read({})
    audit.keep(settings, "seen", {"page": "live"}, "")
    assert audit.newest(settings, 5) == ([], 0)


@pytest.mark.parametrize(
    "cut", [b'{"at": "2026-01-01T00:00:0', b"\x00\x00\xff", b"[]\n", b'{"at": "yesterday", "who": "", "did": "seen"}\n', b'{"at": "2026-01-01", "who": ""}\n']
)
def test_a_line_of_the_audit_log_that_was_cut_costs_no_other_and_is_counted(cut: bytes, tmp_path: Path) -> None:
    file = tmp_path / "audit.jsonl"
    file.write_bytes(b'{"at": "2026-01-01T00:00:00+00:00", "who": "", "did": "seen", "page": "live"}\n' + cut)
    settings = DashboardSettings.read({"ONNURI_AUDIT_LOG": str(file)})
    audit.keep(settings, "seen", {"page": "data"}, "me")
    found, unreadable = audit.newest(settings, 5)
    audit._file(file).close()
    assert [entry["page"] for entry in found] == ["data", "live"]
    assert unreadable == 1


@pytest.mark.parametrize(("language", "told"), [("ko", "1건은 읽을 수 없습니다"), ("en", "Of these lines 1 cannot be read")])
def test_the_page_shows_what_is_readable_of_the_audit_log_and_says_what_is_not(
    language: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "audit.jsonl"
    line = '{"at": "2026-01-01T00:00:00+00:00", "who": "", "did": "seen", "page": "live"}\n'
    file.write_text(f"{line[:30]}{line}{line}")
    monkeypatch.setattr(access, "configured", lambda: True)
    monkeypatch.setattr(access, "may_say", lambda _: True)
    monkeypatch.setenv("ONNURI_AUDIT_LOG", str(file))
    app, _ = shown("data", language, part="audit")
    assert told in words(app)
    assert words(app).count("page=live") == 1


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only file in which Streamlit looks for secrets, by this test alone."""
    file = tmp_path / "secrets.toml"
    monkeypatch.setattr("streamlit.config.get_option", {"secrets.files": [str(file)]}.get)
    monkeypatch.setattr(st, "secrets", Secrets())
    monkeypatch.setattr(access, "_BEGUN", {})
    return file


def read_anew() -> None:
    """As Streamlit does when it sees that the file is another."""
    st.secrets._reset()


def test_without_a_file_of_secrets_nobody_signs_in(file: Path) -> None:
    access.begin(DashboardSettings.read({}))
    assert not access.configured()
    file.write_text("other = 1")
    access.begin(DashboardSettings.read({}))
    assert not access.configured()


@pytest.mark.parametrize(("variable", "text"), [("ONNURI_ANALYSTS", None), ("ONNURI_VIEWERS", "other = 1")])
def test_who_names_people_without_a_provider_is_told_at_the_start(variable: str, text: str | None, file: Path) -> None:
    if text:
        file.write_text(text)
    with pytest.raises(access.SignInError, match=f"{variable}.*auth"):
        access.begin(DashboardSettings.read({variable: "one@example.com"}))


@pytest.mark.parametrize("content", [SIGN_IN[:-1].encode(), b"\xff\xfe", b"auth = 1", b"[auth]"])
def test_a_file_of_secrets_that_cannot_be_read_is_no_way_in(content: bytes, file: Path) -> None:
    file.write_bytes(content)
    with pytest.raises(access.SignInError, match="secrets"):
        access.begin(DashboardSettings.read({}))
    assert access.configured()
    assert not access.may_say(SETTINGS)


@pytest.mark.parametrize("later", [SIGN_IN[:-1], "", "other = 1", None])
def test_where_people_signed_in_at_the_start_they_do_whatever_becomes_of_the_file(later: str | None, file: Path) -> None:
    file.write_text(SIGN_IN)
    access.begin(SETTINGS)
    mark = audit.mark("one@example.com")
    if later is None:
        file.unlink()
    else:
        file.write_text(later)
    read_anew()
    assert access.configured()
    assert not access.may_say(SETTINGS)
    assert audit.mark("one@example.com") == mark


def test_a_provider_that_is_added_while_it_runs_counts(file: Path) -> None:
    access.begin(DashboardSettings.read({}))
    file.write_text(SIGN_IN)
    read_anew()
    assert access.configured()


def test_the_dashboard_is_not_served_with_a_sign_in_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secrets.toml").write_text(SIGN_IN[:-1])
    monkeypatch.setenv("STREAMLIT_SECRETS_FILES", str(tmp_path / "secrets.toml"))
    ended = subprocess.run([sys.executable, "-m", "dashboard", "--port", "0"], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert str(tmp_path / "secrets.toml") in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_a_file_that_becomes_unreadable_or_goes_while_the_dashboard_runs_opens_nothing(tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    file.write_text(SIGN_IN)
    with dashboard(publish_launch_day(tmp_path / "published"), {"STREAMLIT_SECRETS_FILES": str(file), "ONNURI_ANALYSTS": "one@example.com"}) as (address, _):
        places = [f"{address}/api/v1/incidents", f"{address}/media/{'0' * 56}.csv"]
        assert [status(place) for place in places] == [403, 403]
        file.write_text(SIGN_IN[:-1])
        # Streamlit looks at the file every few seconds.
        for second in range(12):
            if second == 6:
                file.unlink()
            time.sleep(1)
            assert [status(place) for place in places] == [403, 403]


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize("said", [False, 0, None, "false", "False ", "0", "no", ""], ids=repr)
def test_an_address_that_the_provider_does_not_call_verified_where_it_says_something_is_none(said: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "configured", lambda: True)
    monkeypatch.setattr(st, "user", {"is_logged_in": True, "email": "one@example.com", "email_verified": said})
    assert access.name() == ""


@pytest.mark.parametrize("claims", [{}, {"email_verified": True}, {"email_verified": "true"}, {"email_verified": 1}], ids=repr)
def test_an_address_that_is_verified_or_of_which_nothing_is_said_is_who_it_says(claims: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "configured", lambda: True)
    monkeypatch.setattr(st, "user", {"is_logged_in": True, "email": "One@example.com", **claims})
    assert access.name() == "one@example.com"
