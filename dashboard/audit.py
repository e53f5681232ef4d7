"""Who saw or took away what: a line of JSON each in the file that ``ONNURI_AUDIT_LOG`` names; nothing where it names none.

People stand there as an HMAC of their address, cut to 64 bits, under the provider's cookie secret: the file alone tells nobody's name, and whoever may look
finds those that the settings name. What a grid's own toolbar saves is made in the reader's browser and cannot be seen here.
"""

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from io import SEEK_END, TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TypeVar

import streamlit as st

from dashboard import access
from dashboard.settings import DashboardSettings

Made = TypeVar("Made")
BYTES, FILES = 5_000_000, 9
LONGEST = 500
"""Characters of one value: a statement of SQL may be long."""


def seen(settings: DashboardSettings, page: str) -> None:
    """Keep that a page is shown, once for each choice that its link has."""
    shown = {**{name: value for name, value in st.query_params.items() if name != "lang"}, "page": page}
    if st.session_state.get("audited") != shown:
        st.session_state["audited"] = shown
        keep(settings, "seen", shown)


def taken(settings: DashboardSettings, what: Mapping[str, object], make: Callable[[], Made]) -> Callable[[], Made]:
    """``make``, keeping that somebody took away what it makes. Called by a button for downloads, outside of the page's run: who it is, is asked here."""
    who = _who()

    def made() -> Made:
        _write(settings, "taken", who, what)
        return make()

    return made


def keep(settings: DashboardSettings, did: str, what: Mapping[str, object], who: str | None = None) -> None:
    """Keep that who looks at the page, or ``who``, did something."""
    _write(settings, did, _who() if who is None else who, what)


def newest(settings: DashboardSettings, lines: int) -> tuple[list[dict[str, str]], int]:
    """The newest lines, the newest first, and how many of them cannot be read; the names of those whom the settings name in place of their marks."""
    if settings.audit_log is None or not settings.audit_log.is_file():
        return [], 0
    names = {mark(name): name for name in settings.analysts | settings.viewers if not name.startswith(("@", "*"))}
    with settings.audit_log.open(encoding="utf-8", errors="replace") as file:
        found = [_entry(line) for line in file.readlines()[-lines:]]
    return [{**entry, "who": names.get(entry["who"], entry["who"])} for entry in reversed(found) if entry], found.count(None)


def _entry(line: str) -> dict[str, str] | None:
    """What a line says; None where a full disk or a crash has cut it."""
    try:
        entry: dict[str, str] = json.loads(line)
        datetime.fromisoformat(entry["at"])
    except (ValueError, KeyError, TypeError):
        return None
    return entry if {"who", "did"} <= entry.keys() else None


def mark(address: str) -> str:
    """What stands for an address; empty for nobody."""
    secret = str((access.provider() or {}).get("cookie_secret", ""))
    return hmac.digest(secret.encode(), address.encode(), "sha256")[:8].hex() if address else ""


def _who() -> str:
    return mark(access.name())


def _write(settings: DashboardSettings, did: str, who: str, what: Mapping[str, object]) -> None:
    if settings.audit_log is not None:
        # What a link says never takes the place of who, when and what: it comes between.
        kept = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "who": who, "did": did}
        entry = {**kept, **{name: str(value)[:LONGEST] for name, value in what.items()}, **kept}
        file = _file(settings.audit_log)
        if not settings.audit_log.is_file():
            file.close()  # somebody took it away: the next line opens another
        file.handle(logging.makeLogRecord({"msg": json.dumps(entry, ensure_ascii=False)}))


class _File(RotatingFileHandler):
    """For its owner alone. Raises OSError where a line cannot be written: a page that shall be watched is not shown unwatched."""

    def _open(self) -> TextIOWrapper:
        opened = super()._open()
        path = Path(self.baseFilename)
        path.chmod(0o600)
        if _is_cut(path):
            opened.write("\n")  # or the next line would be lost with the one that was cut
        return opened

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        raise  # noqa: PLE0704  # called while the error is handled


def _is_cut(path: Path) -> bool:
    with path.open("rb") as file:
        length = file.seek(0, SEEK_END)
        file.seek(max(length - 1, 0))
        return file.read(1) not in {b"", b"\n"}


@lru_cache(maxsize=4)
def _file(path: Path) -> _File:
    path.parent.mkdir(parents=True, exist_ok=True)
    return _File(path, maxBytes=BYTES, backupCount=FILES, encoding="utf-8")
