"""Who is looking: everybody on this machine, or, where an identity provider is configured, who signed in there and has a role.

Streamlit reads the provider from ``[auth]`` in its ``secrets.toml``. Without one nobody signs in, and whoever says something gives a name.
What cannot be read is never taken for "nobody signs in": at the start the dashboard is not served, and later it is closed.
"""

from collections.abc import Mapping
from typing import Any, Literal

import streamlit as st

from dashboard import cards
from dashboard.settings import DashboardSettings
from dashboard.texts import Texts

Role = Literal["analyst", "viewer"]

_BEGUN: dict[str, Any] = {}
"""``[auth]`` as it was at the start; empty where there was none."""


class SignInError(Exception):
    """How people sign in cannot be told; the message says what was expected, what came, what to do."""


def begin(settings: DashboardSettings) -> None:
    """Decide at the dashboard's start whether people sign in. Where they do, they do until it ends, whatever becomes of the file.

    Raises:
        SignInError: there is a file of secrets and it cannot be read; or the settings name people, and there is nothing to sign in with.
    """
    found = _section()
    if found is None and (settings.analysts or settings.viewers):
        named = "ONNURI_ANALYSTS" if settings.analysts else "ONNURI_VIEWERS"
        raise SignInError(
            f"{named} is set, but there is no [auth] in {_places()}: nobody could sign in, and everybody would see everything. "
            f"Put the provider there (docs/operations.md), or leave {named} out."
        )
    _BEGUN.clear()
    _BEGUN.update(found or {})


def provider() -> Mapping[str, Any] | None:
    """``[auth]`` as it is now, else as it was at the start; empty where a file cannot be read, None where nobody signs in."""
    try:
        return _section() or _BEGUN or None
    except SignInError:
        return _BEGUN


def configured() -> bool:
    """Whether people sign in here. Pages, files and the API all ask this."""
    return provider() is not None


def admitted(settings: DashboardSettings, texts: Texts) -> bool:
    """Whether the page may be shown; if not, what to do is."""
    if not configured():
        return True
    if not _signed_in():
        st.html(cards.state(texts("access.title"), [texts("access.why")]))
        st.button(texts("access.sign_in"), on_click=st.login, type="primary")
        return False
    found = role_of(name(), settings)
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center", key="signed_in"):
        st.html(cards.caption(texts("access.as", name=name() or texts("app.unknown"), role=texts(f"access.{found or 'nobody'}"))), width="content")
        st.button(texts("access.sign_out"), on_click=st.logout, key="sign_out")
    if found is None:
        st.html(cards.state(texts("access.refused"), [texts("access.refused_why"), texts("access.refused_next")]))
    return found is not None


def name() -> str:
    """The address of who signed in, in small letters; empty where nobody does, or where the provider says anything but that the address is verified."""
    # A boolean in the standard, which some providers write as text.
    if not configured() or not _signed_in() or str(st.user.get("email_verified", True)).lower() not in {"true", "1"}:
        return ""
    return str(st.user.get("email") or "").lower()


def role_of(address: str, settings: DashboardSettings) -> Role | None:
    """Analysts may enter something, viewers see everything; nobody else sees anything. Entries are addresses, ``@`` and a domain, or ``*`` for all."""
    if not address:
        return None
    address = address.lower()
    its = {address, f"@{address.rpartition('@')[2]}", "*"}
    if its & settings.analysts:
        return "analyst"
    return "viewer" if its & settings.viewers else None


def may_say(settings: DashboardSettings) -> bool:
    """Whether who is looking may enter something."""
    return not configured() or role_of(name(), settings) == "analyst"


def _signed_in() -> bool:
    return bool(st.user.get("is_logged_in", False))


def _section() -> Mapping[str, Any] | None:
    """``[auth]``; None where there is no file of secrets, or none with it.

    ``st.secrets.load_if_toml_exists`` does not tell a file that is not there from one that cannot be read.
    """
    try:
        found = st.secrets.get("auth")
    except (OSError, ValueError) as error:
        if getattr(error, "error_id", None) == "no-secrets-found":
            return None
        raise SignInError(f"Expected secrets that can be read in {_places()}, got: {error}. Mend or remove the file: who may look is decided by it.") from error
    if found is not None and not (isinstance(found, Mapping) and found):
        raise SignInError(f"Expected a table [auth] with a provider in {_places()}, got {'an empty one' if found == {} else 'something else'} under that name.")
    return found


def _places() -> str:
    return " or ".join(st.get_option("secrets.files"))
