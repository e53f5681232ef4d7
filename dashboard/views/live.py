"""실시간: what sells where right now, and what is failing."""

from dataclasses import dataclass

import pyarrow as pa
import streamlit as st

from dashboard import cards, charts, maps
from dashboard.cards import Figure, Tone
from dashboard.charts import Drawing
from dashboard.figures.freshness import Freshness
from dashboard.figures.live import Live, Load
from dashboard.figures.rates import MIN_ATTEMPTS, Rates
from dashboard.formatting import clock, clock_until, count, day_name, duration, exact_won, moment, percent, seoul, won
from dashboard.frame import banners, chart, freshness_line, with_states
from dashboard.link import switch
from dashboard.settings import DashboardSettings
from dashboard.store import live_page
from dashboard.texts import Texts
from warehouse.spreadsheets import neutralised

REFRESH_SECONDS = 3
OPEN_SHOWN = 3
"""Open incidents that have a banner: more would push the figures off the page."""

MOST_SOLD = 100
"""Markets in the table until a reader asks for all: nobody reads 1,400 rows anew every three seconds."""


def page(settings: DashboardSettings, texts: Texts) -> None:
    """The live page; it refreshes itself."""
    st.fragment(_refreshing, run_every=REFRESH_SECONDS, key="live")(settings, texts)


@dataclass(frozen=True)
class Drawn:
    """One state of the page, ready to be sent: the same for all who read one language."""

    title: str
    open_incidents: list[str]
    figures: str
    sales: tuple[Drawing, str]
    rates: tuple[Drawing, str]
    queue: tuple[Drawing, str] | None
    map: tuple[Drawing, str]
    markets: pa.Table
    selling_markets: str


def _refreshing(settings: DashboardSettings, texts: Texts) -> None:
    with with_states(texts, settings):
        state = live_page(settings.published, texts.language, lambda live: drawn(live, texts))
        shown = state.drawn
        st.html(cards.heading(shown.title, texts("live.note", time=clock(state.freshness.now)), _badge(shown, state.freshness, texts)))
        freshness_line(state.freshness, texts)
        banners(state.freshness, texts)
        with st.container(key="open_incidents", gap="small"):
            for banner in shown.open_incidents:
                st.html(banner)
        st.html(shown.figures)
        _charts(shown, texts)
        _markets(shown, texts)


def drawn(live: Live, texts: Texts) -> Drawn:
    """``live`` in words, charts and a table."""
    span = (live.day_start, live.day_end)
    ranked = live.markets.select("market", "sales", "rhythm", "failure_percent", "attempts", "region")
    return Drawn(
        title=day_name(seoul(live.day_start).date(), texts.language),
        open_incidents=_open_incidents(live, texts),
        figures=cards.figures([_sales(live, texts), _failures(live, texts), _purchases(live, texts), _declines(live, texts), _queue(live, texts)]),
        sales=(charts.sales_chart(live.steps, live.band, live.nationwide, *span, texts), _sales_sentence(live, texts)),
        rates=(charts.rates_chart(live.steps, live.nationwide, *span, texts), _rates_sentence(live, texts)),
        queue=(charts.queue_chart(live.queue, live.nationwide, *span, texts), _queue_sentence(live.load, texts)) if live.load else None,
        map=(maps.map_of_markets(live.markets, texts), _map_sentence(live, texts)),
        # Its toolbar offers the table as CSV. Streamlit hands an Arrow table on as it is, and takes a frame through pandas for every viewer.
        markets=neutralised(ranked).to_arrow(),
        selling_markets=count(live.selling_markets),
    )


def _badge(shown: Drawn, freshness: Freshness, texts: Texts) -> str:
    if shown.open_incidents:
        return cards.badge("danger", texts("incident.open"))
    return cards.badge("good", texts("live.calm")) if freshness.present_known else cards.badge("warning", texts("live.unknown"))


def _open_incidents(live: Live, texts: Texts) -> list[str]:
    found = []
    for row in live.open_incidents.head(OPEN_SHOWN).iter_rows(named=True):
        scope = texts.placed(row["scope"], row["place"])
        since = duration(row["until"] - row["onset_at"], texts.language)
        began = moment(row["onset_at"], texts.language, live.day_start)
        detail = texts("live.incident_detail", scope=scope, kind=texts.named("kind", row["kind"]), time=began, since=since)
        found.append(cards.banner("danger", texts("live.incident"), detail))
    if (more := len(live.open_incidents) - OPEN_SHOWN) > 0:
        found.append(cards.caption(texts("live.more_incidents", number=count(more))))
    return found


def _sales(live: Live, texts: Texts) -> Figure:
    language = texts.language
    against = live.against_expected
    if live.steps.is_empty():
        compared = texts("live.none_closed")
    elif against is None:
        compared = texts("live.no_expected")
    else:
        compared = texts("live.against", time=clock_until(live.closed_until, live.day_end), share=percent(against, 0), expected=won(live.expected, language))
    tone: Tone = "danger" if against is not None and live.nationwide_open else "plain"
    # While a backlog is read nothing may have come of today: that is not known to be nothing.
    sold = live.sales if live.sales or len(live.steps) else None
    return Figure(texts("live.sales"), won(sold, language), (exact_won(sold, language), compared), tone, "sales")


def _failures(live: Live, texts: Texts) -> Figure:
    notes = (_of_attempts(live.recent.failed, live.recent, texts), texts("live.today", share=percent(live.today.failure)))
    tone: Tone = "danger" if live.nationwide_open else "plain"
    return Figure(texts("live.failure_rate"), _rate(live.recent.failure, live.recent, texts), notes, tone, "failure_rate")


def _declines(live: Live, texts: Texts) -> Figure:
    notes = (_of_attempts(live.recent.declined, live.recent, texts), texts("live.today", share=percent(live.today.decline)))
    return Figure(texts("live.decline_rate"), _rate(live.recent.decline, live.recent, texts), notes, "plain", "decline_rate")


def _purchases(live: Live, texts: Texts) -> Figure:
    found = live.purchases
    notes = (
        texts("live.of_purchases", number=count(found.lost), purchases=count(found.purchases)),
        texts("live.first_attempts", share=percent(found.first_failure), recovered=count(found.recovered)),
    )
    enough = found.purchases >= MIN_ATTEMPTS
    return Figure(texts("live.purchases"), percent(found.final_failure) if enough else texts("app.not_available"), notes, "plain", "purchases")


def _rate(share: float | None, rates: Rates, texts: Texts) -> str:
    return texts("app.not_available") if share is None or rates.attempts < MIN_ATTEMPTS else percent(share)


def _of_attempts(number: int, rates: Rates, texts: Texts) -> str:
    return texts("live.of_attempts", number=count(number), attempts=count(rates.attempts))


def _queue(live: Live, texts: Texts) -> Figure:
    load = live.load
    if load is None:
        return Figure(texts("live.queue"), texts("app.not_available"), (texts("live.no_load"),), "muted", "queue")
    notes = (
        texts("live.abandoned", number=count(load.abandoned_recently)),
        texts("live.abandoned_today", number=count(load.abandoned_today)),
        texts("live.wait", seconds=count(round(load.wait_seconds)), time=clock(load.at)),
    )
    return Figure(texts("live.queue"), texts("live.people", number=count(load.queue_length)), notes, "plain", "queue")


def _charts(shown: Drawn, texts: Texts) -> None:
    with st.container(border=True, key="sales_card"):
        st.html(cards.section(texts("live.sales_chart"), texts("live.sales_chart_note")))
        chart(shown.sales[0], "sales_chart", texts("live.sales_chart"), shown.sales[1])
    left, right = st.columns(2)
    with left, st.container(border=True, key="rates_card", height="stretch"):
        st.html(cards.section(texts("live.rates_chart"), texts("live.rates_chart_note")))
        chart(shown.rates[0], "rates_chart", texts("live.rates_chart"), shown.rates[1])
    with right, st.container(border=True, key="queue_card", height="stretch"):
        st.html(cards.section(texts("live.queue_chart"), texts("live.queue_chart_note")))
        if shown.queue is None:
            st.html(cards.state(texts("app.not_available"), [texts("live.no_load")]))
        else:
            chart(shown.queue[0], "queue_chart", texts("live.queue_chart"), shown.queue[1])


def _sales_sentence(live: Live, texts: Texts) -> str:
    closed = {"time": clock_until(live.closed_until, live.day_end), "sales": won(live.closed_sales, texts.language)}
    if live.steps.is_empty():
        return texts("live.none_closed")
    if live.against_expected is None:
        return texts("live.sales_sentence_alone", **closed)
    return texts("live.sales_sentence", **closed, expected=won(live.expected, texts.language), share=percent(live.against_expected, 0))


def _rates_sentence(live: Live, texts: Texts) -> str:
    return texts("live.rates_sentence", failure=percent(live.today.failure), decline=percent(live.today.decline), attempts=count(live.today.attempts))


def _queue_sentence(load: Load, texts: Texts) -> str:
    return texts("live.queue_sentence", time=clock(load.at), number=count(load.queue_length), today=count(load.abandoned_today))


def _map_sentence(live: Live, texts: Texts) -> str:
    worst = live.worst_market
    return texts("live.map_sentence", name=worst[0], share=percent(worst[1])) if worst else texts("live.map_few", least=MIN_ATTEMPTS)


def _markets(shown: Drawn, texts: Texts) -> None:
    column = st.column_config
    left, right = st.columns([2, 3])
    with left, st.container(border=True, key="map_card", height="stretch"):
        st.html(cards.section(texts("live.map"), texts("live.map_note")))
        chart(shown.map[0], "map_chart", texts("live.map"), shown.map[1])
    with right, st.container(border=True, key="markets_card", height="stretch"):
        title = texts("live.markets", number=shown.selling_markets)
        st.html(cards.section(title, texts("live.markets_note", least=MIN_ATTEMPTS)))
        rows = ("most", "all") if len(shown.markets) > MOST_SOLD else ()
        chosen = switch(texts("live.rows"), "rows", rows, lambda name: texts(f"live.rows_{name}", number=count(MOST_SOLD))) if rows else "all"
        st.dataframe(
            shown.markets if chosen == "all" else shown.markets.slice(0, MOST_SOLD),
            key="markets",
            hide_index=True,
            height=470,
            placeholder=texts("live.suppressed"),
            alt=title,
            column_config={
                "market": column.TextColumn(texts("table.market"), pinned=True, width=140),
                "sales": column.NumberColumn(texts("table.sales_today"), format="%,d", width=135),
                "rhythm": column.AreaChartColumn(texts("table.rhythm"), width=130),
                "failure_percent": column.NumberColumn(texts("table.failure_rate"), format="%.1f%%", width=75),
                "attempts": column.NumberColumn(texts("table.attempts"), format="%,d", width=80),
                "region": column.TextColumn(texts("table.region"), width=115),
            },
        )
