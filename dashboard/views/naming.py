"""Choosing a name that is known: one that nobody knows comes out later as a place without any sales."""

from collections.abc import Mapping

import streamlit as st

from dashboard.settings import DashboardSettings
from dashboard.store import UnreadableError, names_by_kind
from dashboard.texts import Texts
from warehouse.reading import NothingPublishedError

SCOPES = ("nation", "region", "channel", "market", "issuer", "service")
LISTED = ("region", "market", "channel")
"""Kinds of which all names are known. Of issuers and services there is no list: only those that came are known, and another may be typed."""

Names = Mapping[str, Mapping[str, str]]


def names(settings: DashboardSettings) -> Names:
    """The known names of every kind; none where nothing can be read."""
    try:
        return names_by_kind(settings.published)
    except (NothingPublishedError, UnreadableError):
        return {}


def named(label: str, kind: str, known: Names, texts: Texts, key: str) -> str | None:
    """One of the known names of a kind; where these are no list, another one may be typed. None where nothing was chosen."""
    options = known.get(kind, {})
    free = kind not in LISTED or not options.keys() - {"unknown"}
    chosen = st.selectbox(
        label,
        list(options),
        index=None,
        format_func=lambda name: label_of(kind, name, options, texts),
        key=key,
        placeholder=texts("say.choose_or_type" if free else "say.choose"),
        accept_new_options=free,
    )
    return (chosen or "").strip()[:200] or None


def label_of(kind: str, name: str, known: Mapping[str, str], texts: Texts) -> str:
    """A name as people read it, a market's with its place and its id."""
    return f"{known[name]} · {name}" if known.get(name) else texts.named(kind, name)


def place(known: Names, texts: Texts) -> dict[str, str]:
    """Which scope, and within it which name; outside of the form, so that the names follow the scope."""
    left, right = st.columns(2)
    with left:
        scope = st.selectbox(texts("table.scope"), SCOPES, format_func=lambda name: texts.named("scope", name), key="declared_scope")
    if scope == "nation":
        return {"scope": scope, "scope_name": ""}
    with right:
        # a name of another scope is none of this one
        name = named(texts("say.scope_name"), scope, known, texts, f"declared_name_{scope}")
    return {"scope": scope, "scope_name": name or ""}
