"""Who is looking: everybody on this machine, or, where an identity provider is configured, who signed in there and has a role.

Streamlit reads the provider from ``[auth]`` in its ``secrets.toml``. Without one nobody signs in, and whoever says something gives a name.
"""

from typing import Literal

import streamlit as st

from dashboard import cards
from dashboard.settings import DashboardSettings
from dashboard.texts import Texts

Role = Literal["analyst", "viewer"]


def configured() -> bool:
    """Whether people sign in here."""
    return "auth" in st.secrets if st.secrets.load_if_toml_exists() else False


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
    """The address of who signed in, in small letters; empty where nobody does, or where the provider says that the address is not verified."""
    if not configured() or not _signed_in() or st.user.get("email_verified") is False:
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
