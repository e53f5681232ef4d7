"""The state of a page in its link: what a reader has chosen is in the address, and an address opens what was chosen."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import TypeVar

import streamlit as st

Option = TypeVar("Option")
EARLIEST = date(2000, 1, 1)
NOTHING: Mapping[str, str] = MappingProxyType({})


def keep(name: str, value: str, default: str = "") -> None:
    """Put a value into the link; the default leaves no trace there."""
    shown = None if value == default else value
    if st.query_params.get(name) != shown:
        if shown is None:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = shown
    st.session_state[f"link_{name}"] = value


def linked(name: str, read: Callable[[str], Option | None], default: Option) -> None:
    """Bring the widget whose key is ``name`` to what the link says, else to what was chosen before on this page, else to ``default``.

    ``read`` turns the link's text into a value, None where it cannot be one.
    """
    asked = st.query_params.get(name)
    new = asked is not None and asked != st.session_state.get(f"link_{name}")
    value = read(asked) if new and asked is not None else None
    if value is not None:
        st.session_state[name] = value
    elif name not in st.session_state:
        kept = read(st.session_state.get(f"link_{name}", ""))
        st.session_state[name] = default if kept is None else kept


def choice(
    label: str,
    name: str,
    options: Sequence[str],
    wording: Callable[[str], str],
    *,
    always: bool = False,
    became: Mapping[str, str] = NOTHING,
    own: Sequence[str] = (),
) -> str:
    """One of ``options``, the first by default; an unknown one in the link is passed over. With ``always`` the default is in the link too.

    ``became`` has what went into one of the options, so that a link to it opens that one. ``own`` names what is chosen further down for this option
    alone: with another option it begins anew, unless the link that brought the option says it.
    """

    def known(text: str) -> str | None:
        now = became.get(text, text)
        return now if now in options else None

    before, by_link = st.session_state.get(f"link_{name}"), st.query_params.get(name)
    linked(name, known, options[0])
    st.session_state[name] = known(st.session_state[name]) or options[0]
    chosen = str(st.selectbox(label, options, format_func=wording, key=name))
    if before not in (None, chosen):
        _forget(own, linked_too=by_link == before)
    keep(name, chosen, "" if always else options[0])
    return chosen


def _forget(names: Sequence[str], *, linked_too: bool) -> None:
    """Forget what was chosen under ``names``; with ``linked_too`` what the link says of them was of the same choice, and goes as well."""
    for name in names:
        st.session_state.pop(name, None)
        st.session_state.pop(f"link_{name}", None)
        if linked_too:
            st.query_params.pop(name, None)


def switch(label: str, name: str, options: Sequence[str], wording: Callable[[str], str]) -> str:
    """One of a few ``options``, side by side."""
    linked(name, lambda text: text if text in options else None, options[0])
    if st.session_state[name] not in options:
        st.session_state[name] = options[0]
    chosen = str(st.segmented_control(label, options, format_func=wording, key=name, required=True))
    keep(name, chosen, options[0])
    return chosen


def words(label: str, name: str, *, placeholder: str, limit: int = 100) -> str:
    """A short text, empty by default."""
    linked(name, lambda text: text[:limit], "")
    given = st.text_input(label, key=name, placeholder=placeholder, max_chars=limit, type="search") or ""
    keep(name, given)
    return given


def number(label: str, name: str, bounds: tuple[float, float, float], default: float, *, form: str, help_text: str) -> float:
    """A number on a slider; ``bounds`` are least, most and step. What lies outside in the link is brought to the nearest end."""
    least, most, step = bounds
    linked(name, lambda text: _number(text, least, most), default)
    given = float(st.slider(label, least, most, step=step, key=name, format=form, help=help_text))
    keep(name, f"{given:g}", f"{default:g}")
    return given


def _number(text: str, least: float, most: float) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return min(max(value, least), most) if value == value else None  # noqa: PLR0124 - only NaN differs from itself


def day(label: str, name: str, latest: date) -> date:
    """A day, the latest by default; nothing later can be chosen."""
    linked(name, lambda text: _day(text, latest), latest)
    st.session_state[name] = min(st.session_state[name] or latest, latest)
    given = st.date_input(label, key=name, max_value=latest, min_value=EARLIEST)
    chosen = given if isinstance(given, date) else latest
    keep(name, chosen.isoformat(), latest.isoformat())
    return chosen


def _day(text: str, latest: date) -> date | None:
    try:
        asked = date.fromisoformat(text)
    except ValueError:
        return None
    return asked if EARLIEST <= asked <= latest else None
