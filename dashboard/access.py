"""Who is looking: everybody on this machine, or, where an identity provider is configured, who signed in there.

Streamlit reads the provider from ``[auth]`` in its ``secrets.toml``. Without one nobody signs in, and whoever says something gives a name.
"""

import streamlit as st

from dashboard import cards
from dashboard.settings import DashboardSettings
from dashboard.texts import Texts


def configured() -> bool:
    """Whether people sign in here."""
    return "auth" in st.secrets if st.secrets.load_if_toml_exists() else False


def admitted(texts: Texts) -> bool:
    """Whether the page may be shown; if not, a way to sign in is."""
    if not configured() or _signed_in():
        return True
    st.html(cards.state(texts("access.title"), [texts("access.why")]))
    st.button(texts("access.sign_in"), on_click=st.login, type="primary")
    return False


def name() -> str:
    """The address of who signed in; empty where nobody does."""
    return str(st.user.get("email", "")) if configured() and _signed_in() else ""


def may_say(settings: DashboardSettings) -> bool:
    """Viewers see everything and say nothing; analysts are those in ``ONNURI_ANALYSTS``."""
    return not configured() or name().lower() in settings.analysts


def _signed_in() -> bool:
    return bool(st.user.get("is_logged_in", False))
