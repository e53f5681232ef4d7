"""수요 예측·처리 여력: what will be wanted until and on the holidays ahead, and whether what is proven suffices for it."""

import streamlit as st

from dashboard import cards
from dashboard.ahead_words import HOLIDAY_COLUMNS, chart_sentence, headline, holiday_row, warning
from dashboard.charts_ahead import ahead_chart
from dashboard.figures.ahead import AheadFigures
from dashboard.formatting import SEOUL, clock, count, moment
from dashboard.frame import banners, chart, freshness_line, with_states
from dashboard.link import choice, number, switch
from dashboard.remarks import sentence
from dashboard.settings import DashboardSettings
from dashboard.store_ahead import ahead_page, notices_page
from dashboard.texts import Texts
from warehouse.analysis import AnalysisError

SERVICES = ("payment", "login", "registration", "top_up", "queue")
SPANS = ("60", "30", "120")
MOST_TESTED = 5_000.0
REFRESH_SECONDS = 60


def page(settings: DashboardSettings, texts: Texts) -> None:
    """Demand ahead; service, span and a load test are in the link."""
    st.html(cards.heading(texts("ahead.title"), texts("ahead.note")))
    columns = st.columns([1, 1, 1.4])
    with columns[0]:
        service = choice(texts("ahead.service"), "service", SERVICES, lambda name: texts.named("service", name))
    with columns[1]:
        span = choice(texts("ahead.span"), "days", SPANS, lambda days: texts("ahead.days", number=days))
    with columns[2]:
        tested = number(texts("ahead.tested"), "tested", (0.0, MOST_TESTED, 10.0), 0.0, form="%d", help_text=texts("ahead.tested_help"))
    with with_states(texts, settings):
        try:
            shown = ahead_page(settings.published, service, int(span), tested)
        except AnalysisError:
            st.html(cards.state(texts("ahead.none"), [texts("ahead.none_detail")]))
            return
        freshness_line(shown.freshness, texts)
        banners(shown.freshness, texts)
        found = shown.figures
        if found.capacity.proven:
            with st.container(key="notices"):
                st.fragment(_notices, run_every=REFRESH_SECONDS, key="notices_now")(settings, texts, service, found.capacity.proven)
        warned = warning(found, texts)
        if warned:
            st.html(cards.banner(*warned))
        st.html(cards.figures(headline(found, texts)))
        _chart(found, texts)
        _holidays(found, texts)
        with st.container(border=True, key="ahead_method_card"):
            st.html(cards.section(texts("ahead.method_title")))
            said = [
                texts("ahead.made", time=moment(found.made_at, texts.language)),
                texts("ahead.method"),
                *(sentence(remark, texts) for remark in found.warnings),
            ]
            st.html(cards.paragraphs([*said, texts("ahead.loss_method")]))


def _notices(settings: DashboardSettings, texts: Texts, service: str, proven: float) -> None:
    """The newest warning of today."""
    with with_states(texts, settings, quiet=True):
        for newest in notices_page(settings.published, service, proven)[-1:]:
            values = {
                "at": moment(newest.at.replace(tzinfo=SEOUL), texts.language),
                "when": clock(newest.expected_at.replace(tzinfo=SEOUL)),
                "expected": count(round(newest.expected)),
                "capacity": count(round(newest.capacity)),
            }
            st.html(cards.banner("warning", texts("ahead.warning"), texts("ahead.warning_detail", **values)))


def _chart(found: AheadFigures, texts: Texts) -> None:
    with st.container(border=True, key="ahead_card"):
        st.html(cards.section(texts("ahead.chart"), texts("ahead.chart_note")))
        what = switch(texts("ahead.what"), "what", ("sales", "peaks"), lambda name: texts(f"ahead.{name}"))
        drawing = ahead_chart(found.days, what, found.capacity.proven, texts)
        chart(drawing, f"ahead_chart_{what}", texts("ahead.chart"), chart_sentence(found, what, texts))


def _holidays(found: AheadFigures, texts: Texts) -> None:
    with st.container(border=True, key="holidays_card"):
        st.html(cards.section(texts("ahead.holidays"), f"{texts('ahead.holidays_note')} {texts('ahead.from_tomorrow')}"))
        heads = [texts(f"ahead.head_{name}") for name in HOLIDAY_COLUMNS]
        st.html(cards.table(heads, [holiday_row(row, texts) for row in found.holidays], numbers={3, 4, 5, 6, 7}, name=texts("ahead.holidays")))
