"""수요 예측·처리 여력: what will be wanted until and on the holidays ahead, and whether what is proven suffices for it."""

from typing import Any

import streamlit as st

from dashboard import cards
from dashboard.cards import Figure
from dashboard.charts_ahead import ahead_chart
from dashboard.figures.ahead import AheadFigures
from dashboard.formatting import MISSING, SEOUL, clock, count, day_name, moment, near_day, percent, unbroken, won
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
        _warnings(found, texts)
        _headline(found, texts)
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


def _warnings(found: AheadFigures, texts: Texts) -> None:
    proven, most = found.capacity.proven, found.tightest
    if proven is None:
        st.html(cards.banner("muted", texts("ahead.no_capacity"), texts("ahead.no_capacity_detail")))
    elif most["factor"] > 1:
        values = {
            "name": _name(most, texts),
            "factor": f"{most['factor']:.2f}",
            "before": day_name(most["before"] or most["first"], texts.language),
            "chance": percent(most["probability"], 0),
        }
        st.html(cards.banner("danger", texts("ahead.too_small"), texts("ahead.too_small_detail", **values)))


def _headline(found: AheadFigures, texts: Texts) -> None:
    language, capacity, most = texts.language, found.capacity, found.tightest
    a_minute = {"needed": texts("ahead.a_minute", number=count(round(most["needed"])))}
    knee = texts("ahead.knee", low=count(round(capacity.low)), high=count(round(capacity.high))) if capacity.low and capacity.high else ""
    proven = texts("ahead.a_minute", number=count(round(capacity.proven))) if capacity.proven else texts("ahead.no_capacity")
    st.html(
        cards.figures(
            [
                Figure(
                    texts("ahead.needed"),
                    a_minute["needed"],
                    (texts("ahead.needed_note", name=_name(most, texts), day=near_day(most["peak_day"], language)),),
                    "plain",
                    "needed",
                ),
                Figure(texts("ahead.proven"), proven, (texts(f"ahead.by_{capacity.method}"), knee), "plain" if capacity.proven else "muted", "proven"),
                Figure(
                    texts("ahead.headroom"),
                    MISSING if most["headroom"] is None else percent(most["headroom"], 0),
                    (texts("ahead.headroom_note"),),
                    "danger" if most["headroom"] is not None and most["headroom"] < 1 else "plain",
                    "headroom",
                ),
                Figure(
                    texts("ahead.risk"),
                    percent(most["probability"], 0),
                    (texts("ahead.risk_note", loss=unbroken(won(most["expected_loss"], language))),),
                    "plain",
                    "risk",
                ),
            ]
        )
    )


def _chart(found: AheadFigures, texts: Texts) -> None:
    with st.container(border=True, key="ahead_card"):
        st.html(cards.section(texts("ahead.chart"), texts("ahead.chart_note")))
        what = switch(texts("ahead.what"), "what", ("sales", "peaks"), lambda name: texts(f"ahead.{name}"))
        drawing = ahead_chart(found.days, what, found.capacity.proven, texts)
        column = "q95" if what == "sales" else "peak_q95"
        top = found.days.sort(column, descending=True).row(0, named=True)
        value = won(top[column], texts.language) if what == "sales" else texts("ahead.a_minute", number=count(round(top[column])))
        chart(drawing, f"ahead_chart_{what}", texts("ahead.chart"), texts("ahead.chart_sentence", day=day_name(top["date"], texts.language), value=value))


def _holidays(found: AheadFigures, texts: Texts) -> None:
    language = texts.language
    with st.container(border=True, key="holidays_card"):
        st.html(cards.section(texts("ahead.holidays"), texts("ahead.holidays_note")))
        rows = [
            [
                _name(row, texts),
                f"{unbroken(near_day(row['first'], language))} ~ {unbroken(near_day(row['last'], language))}",
                unbroken(near_day(row["peak_day"], language)),
                count(round(row["needed"])),
                MISSING if row["factor"] is None else f"{row['factor']:.2f}×" if row["factor"] > 1 else texts("ahead.enough"),
                unbroken(near_day(row["before"], language)) if row["before"] else MISSING,
                percent(row["probability"], 0),
                won(row["expected_loss"], language),
            ]
            for row in found.holidays
        ]
        heads = [texts(f"ahead.head_{name}") for name in ("holiday", "days", "peak", "needed", "factor", "before", "chance", "loss")]
        st.html(cards.table(heads, rows, numbers={3, 4, 6, 7}))


def _name(row: dict[str, Any], texts: Texts) -> str:
    return texts("ahead.all_days") if row["name"] == "all" else texts.named("holiday", row["name"])
