"""What every page has around it: language, freshness, banners, and the states in which there is nothing to show."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from dashboard import cards
from dashboard.charts import Drawing
from dashboard.figures.freshness import Freshness
from dashboard.formatting import count, duration, moment
from dashboard.public import keep_reason
from dashboard.remarks import lost_range
from dashboard.settings import DashboardSettings
from dashboard.store import UnreadableError
from dashboard.texts import LANGUAGES, Texts, texts_in
from warehouse.lake_reading import LakeAwayError
from warehouse.reading import NothingPublishedError

LOST_SHOWN = 3
"""Ranges of lost offsets that a banner names; /health has a hundred."""

_STYLE = Path(__file__).with_name("style.css")


def chosen_texts(settings: DashboardSettings) -> Texts:
    """The texts of the language in the link, else of the one chosen before on another page, else of the setting."""
    asked = st.query_params.get("lang")
    language = asked if asked in LANGUAGES else st.session_state.get("language", settings.language)
    st.session_state["language"] = language
    # Moving to another page empties the link's parameters.
    st.query_params["lang"] = language
    return texts_in(language)


def menu(pages: Sequence[StreamlitPage]) -> None:
    """Style, and links to all pages in a row that wraps where it is too long."""
    st.html(_STYLE)
    with st.container(key="menu", horizontal=True, gap="small"):
        for page in pages:
            st.page_link(page, width="content")


def top(texts: Texts) -> None:
    """The service's name and the switch of language."""
    with st.container(key="top", horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.html(f'<div class="on-brand"><strong>{texts("app.name")}</strong><span>{texts("app.subtitle")}</span></div>', width="content")
        st.session_state["language_switch"] = texts.language
        st.segmented_control(
            texts("app.language"),
            LANGUAGES,
            format_func=lambda language: {"ko": "한국어", "en": "English"}[language],
            key="language_switch",
            required=True,
            label_visibility="collapsed",
            on_change=_switched,
        )
    st.html(f"<script>document.documentElement.lang = '{texts.language}'</script>", unsafe_allow_javascript=True)


def _switched() -> None:
    st.session_state["language"] = st.session_state["language_switch"]
    st.query_params["lang"] = st.session_state["language"]


@contextmanager
def with_states(texts: Texts, settings: DashboardSettings, *, quiet: bool = False, public: bool = False) -> Iterator[None]:
    """Show a designed page where there is nothing published yet, or where it cannot be read; with ``quiet`` somebody else shows it, with ``public`` it tells nothing of the server."""
    try:
        yield
    except (NothingPublishedError, UnreadableError) as error:
        if public:
            keep_reason(error)
            st.html(cards.state(texts("status.stale"), [texts("status.away")]))
        elif not quiet:
            _state(error, texts, settings)


def _state(error: Exception, texts: Texts, settings: DashboardSettings) -> None:
    if isinstance(error, NothingPublishedError) and not isinstance(error, LakeAwayError):
        waiting = [texts("empty.why", folder=settings.published), texts("empty.how"), texts("empty.waits")]
        st.html(cards.state(texts("empty.title"), waiting, "onnuri demo"))
    else:
        st.html(cards.state(texts("unreadable.title"), [texts("unreadable.why"), texts("unreadable.how")], str(error)))


def freshness_line(freshness: Freshness, texts: Texts) -> None:
    """How fresh and complete the figures are, in one line."""
    language = texts.language
    counted = {name: count(number) if number is not None else texts("app.not_available") for name, number in freshness.counts.items()}
    shown = [
        (texts("freshness.watermark"), moment(freshness.watermark, language) if freshness.watermark else texts("app.not_available")),
        (texts("freshness.age"), texts("freshness.ago", age=duration(freshness.age, language))),
        (texts("freshness.lag"), texts("freshness.events", number=count(freshness.lag)) if freshness.lag is not None else texts("app.not_available")),
        *[(texts(f"freshness.{name}"), number) for name, number in counted.items()],
    ]
    st.html(cards.facts(shown, css="on-facts on-freshness"))


def banners(freshness: Freshness, texts: Texts) -> None:
    """Say loudly what a reader must know before trusting the figures. The place stays when there is nothing to say."""
    with st.container(key="banners", gap="small"):
        if freshness.stale:
            age = duration(freshness.age, texts.language)
            st.html(cards.banner("warning", texts("banner.stale"), texts("banner.stale_detail", age=age, time=moment(freshness.published_at, texts.language))))
        elif freshness.cut_off is not None and freshness.watermark:
            age = duration(freshness.cut_off, texts.language)
            time = moment(freshness.watermark, texts.language)
            st.html(cards.banner("warning", texts("banner.cut_off"), texts("banner.cut_off_detail", age=age, time=time)))
        if freshness.lost or freshness.lost_ranges:
            st.html(cards.banner("danger", texts("banner.lost"), _lost(freshness, texts)))


def chart(drawing: Drawing, key: str, title: str, sentence: str) -> None:
    """A chart that keeps its place over refreshes, with the sentence under it that tells the same."""
    # A changing ``alt`` would make Streamlit draw the chart anew; so it holds the title, and the figures stand below.
    st.vega_lite_chart(spec=drawing.with_data, key=key, theme=None, width="stretch", alt=title)
    st.html(cards.caption(sentence))


def _lost(freshness: Freshness, texts: Texts) -> str:
    """How many records vanished, and which: the newest ranges of offsets."""
    said = [texts("banner.lost_detail", number=count(freshness.lost))] if freshness.lost else []
    said += [lost_range(lost, texts) for lost in freshness.lost_ranges[:LOST_SHOWN]]
    if len(freshness.lost_ranges) > LOST_SHOWN:
        said.append(texts("banner.lost_more", number=len(freshness.lost_ranges) - LOST_SHOWN))
    return " ".join(said)
