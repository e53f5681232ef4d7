"""장애: what happened, how long, and what it cost."""

import streamlit as st

from dashboard import cards, charts
from dashboard.cards import Figure
from dashboard.figures.incidents import Incident, IncidentFigures
from dashboard.formatting import count, duration, exact_won, moment, percent, unbroken, won
from dashboard.frame import banners, chart, freshness_line, with_states
from dashboard.remarks import sentence as remark_sentence
from dashboard.settings import DashboardSettings
from dashboard.store import IncidentList, incident_list, incident_page
from dashboard.texts import Texts

REFRESH_SECONDS = 10


def page(settings: DashboardSettings, texts: Texts) -> None:
    """The list of incidents and one of them in detail; the link says which."""
    st.fragment(_refreshing, run_every=REFRESH_SECONDS, key="incidents")(settings, texts)


def _refreshing(settings: DashboardSettings, texts: Texts) -> None:
    with with_states(texts, settings):
        listed = incident_list(settings.published)
        if not listed.incidents:
            st.html(cards.heading(texts("incidents.nav")))
            freshness_line(listed.freshness, texts)
            banners(listed.freshness, texts)
            st.html(cards.state(texts("incidents.none"), [texts("incidents.none_detail")]))
            return
        incident = _chosen(listed, texts)
        st.html(cards.heading(_title(incident, texts), _place(incident, texts), _badge(incident, texts)))
        freshness_line(listed.freshness, texts)
        banners(listed.freshness, texts)
        with st.spinner(texts("incidents.estimating")):
            shown = incident_page(settings.published, listed, incident)
        _headline(shown, texts)
        _timeline(shown, texts)
        _charts(shown, texts)
        _hardest(shown, texts)
        _method(shown, texts)
        _list(listed, texts)


def _chosen(listed: IncidentList, texts: Texts) -> Incident:
    known = {incident.incident_id: incident for incident in listed.incidents}
    asked = st.query_params.get("incident", "")
    if "chosen_incident" not in st.session_state or st.session_state["chosen_incident"] not in known:
        st.session_state["chosen_incident"] = asked if asked in known else listed.incidents[0].incident_id
    if asked and asked not in known:
        st.html(cards.banner("warning", texts("incidents.unknown"), texts("incidents.unknown_detail", asked=asked)))
    chosen = st.selectbox(texts("incidents.choose"), list(known), format_func=lambda name: _label(known[name], texts), key="chosen_incident")
    st.query_params["incident"] = chosen
    return known[chosen]


def _label(incident: Incident, texts: Texts) -> str:
    state = texts("incident.open") if incident.open else texts("incident.closed")
    return f"{moment(incident.onset_at, texts.language)} · {_scope(incident, texts)} · {texts.named('kind', incident.kind)} · {state}"


def _title(incident: Incident, texts: Texts) -> str:
    return texts("incidents.title", time=moment(incident.onset_at, texts.language), kind=texts.named("kind", incident.kind))


def _scope(incident: Incident, texts: Texts) -> str:
    return f"{texts.named('scope', incident.scope)} {incident.scope_name}".strip()


def _place(incident: Incident, texts: Texts) -> str:
    origin = texts("incidents.declared", name=incident.declared_by) if incident.declared_by else texts("incidents.detected")
    return f"{_scope(incident, texts)} · {origin} · {incident.incident_id}"


def _badge(incident: Incident, texts: Texts) -> str:
    return cards.badge("danger", texts("incident.open")) if incident.open else cards.badge("good", texts("incident.closed"))


def _headline(shown: IncidentFigures, texts: Texts) -> None:
    language, loss, bought = texts.language, shown.loss, shown.purchases
    if loss is None:
        lost = Figure(texts("incidents.lost"), texts("app.not_available"), (texts(f"incidents.{shown.why_no_loss}"),), "muted", "lost")
        observed = Figure(texts("incidents.observed"), texts("app.not_available"), (), "muted", "observed")
    else:
        interval = texts("incidents.interval", low=unbroken(won(loss.low, language)), high=unbroken(won(loss.high, language)))
        status = texts("incidents.provisional", time=moment(shown.end, language)) if shown.incident.open else texts("incidents.final")
        lost = Figure(texts("incidents.lost"), won(loss.lost, language), (interval, status), "danger", "lost")
        notes = (
            exact_won(round(loss.observed), language),
            texts("incidents.of_expected", expected=won(loss.expected, language), share=percent(shown.lost_share)),
        )
        observed = Figure(texts("incidents.observed"), won(loss.observed, language), notes, "plain", "observed")
    share = texts("incidents.recovered", recovered=count(bought.recovered), share=percent(bought.recovered_share))
    left = texts("incidents.unrecovered", amount=won(bought.unrecovered_amount, language))
    purchases = Figure(texts("incidents.purchases"), texts("app.cases", number=count(bought.purchases)), (share, left), "plain", "purchases")
    peak = Figure(texts("incidents.peak"), percent(shown.incident.peak_failure_rate), (texts("incidents.peak_note"),), "plain", "peak")
    st.html(cards.figures([lost, observed, purchases, peak], lead=True))


def _timeline(shown: IncidentFigures, texts: Texts) -> None:
    incident, language = shown.incident, texts.language
    delay = texts("incidents.after", span=duration(incident.detection_delay, language)) if incident.detection_delay else ""
    steps = [(texts("incidents.onset"), moment(incident.onset_at, language), "")]
    if incident.detected_at:
        steps.append((texts("incidents.detection"), moment(incident.detected_at, language), delay))
    if incident.open:
        lasted = texts("incidents.lasting", span=duration(incident.lasted(incident.last_seen_at or shown.end), language))
        steps.append((texts("incidents.last_seen"), moment(incident.last_seen_at, language), lasted))
    else:
        steps.append(
            (texts("incidents.end"), moment(incident.ended_at, language), texts("incidents.lasted", span=duration(incident.lasted(shown.end), language)))
        )
    st.html(cards.timeline(steps))


def _charts(shown: IncidentFigures, texts: Texts) -> None:
    language, loss = texts.language, shown.loss
    if loss is None:
        st.html(cards.state(texts("incidents.no_estimate"), [texts(f"incidents.{shown.why_no_loss}"), texts(f"incidents.{shown.why_no_loss}_next")]))
        return
    span = (shown.steps["at"][0], shown.end)
    lost = {"lost": won(loss.lost, language), "expected": won(loss.expected, language), "observed": won(loss.observed, language)}
    with st.container(border=True, key="loss_card"):
        st.html(cards.section(texts("incidents.sales_chart"), texts("incidents.sales_chart_note")))
        chart(
            charts.sales_chart(shown.steps, shown.steps, shown.spans, *span, texts, loss=True),
            "loss_chart",
            texts("incidents.sales_chart"),
            texts("incidents.sales_sentence", **lost),
        )
    left, right = st.columns(2)
    with left, st.container(border=True, key="cumulative_card"):
        st.html(cards.section(texts("incidents.cumulative_chart"), texts("incidents.cumulative_note")))
        sentence = texts(
            "incidents.cumulative_sentence", start=moment(shown.start, language), end=moment(shown.end, language), lost=won(shown.cumulative, language)
        )
        chart(charts.cumulative_chart(shown.steps, *span, texts), "cumulative_chart", texts("incidents.cumulative_chart"), sentence)
    with right, st.container(border=True, key="incident_rates_card"):
        st.html(cards.section(texts("live.rates_chart"), texts("live.rates_chart_note")))
        inside = shown.rates
        sentence = texts("live.rates_sentence", failure=percent(inside.failure), decline=percent(inside.decline), attempts=count(inside.attempts))
        chart(charts.rates_chart(shown.steps, shown.spans, *span, texts), "incident_rates_chart", texts("live.rates_chart"), sentence)


def _hardest(shown: IncidentFigures, texts: Texts) -> None:
    for column, frame, name in zip(st.columns(2), (shown.regions, shown.markets), ("regions", "markets"), strict=True):
        if frame.is_empty():
            continue
        with column, st.container(border=True, key=f"hardest_{name}_card"):
            st.html(cards.section(texts(f"incidents.{name}"), texts("incidents.hardest_note")))
            drawing = charts.hardest_chart(frame, texts)
            chart(
                drawing,
                f"hardest_{name}",
                texts(f"incidents.{name}"),
                texts("incidents.hardest_sentence", name=frame["name"][0], lost=won(frame["lost"][0], texts.language)),
            )
            rows = [
                [row["name"], *(won(row[name], texts.language) for name in ("lost", "expected", "observed")), percent(row["share"], 0)]
                for row in frame.iter_rows(named=True)
            ]
            heads = [texts("table.name"), texts("table.lost"), texts("table.expected"), texts("table.observed"), texts("table.lost_share")]
            st.html(cards.table(heads, rows, numbers={1, 2, 3, 4}))


def _method(shown: IncidentFigures, texts: Texts) -> None:
    if shown.loss is None:
        return
    with st.container(border=True, key="method_card"):
        st.html(cards.section(texts("incidents.method")))
        st.html(cards.paragraphs([texts("incidents.method_gross"), remark_sentence(shown.loss.method, texts)]))
        for warning in shown.loss.warnings:
            st.html(cards.banner("warning", texts("incidents.warning"), remark_sentence(warning, texts)))


def _list(listed: IncidentList, texts: Texts) -> None:
    language = texts.language
    rows = [
        [
            texts("incident.open") if incident.open else texts("incident.closed"),
            moment(incident.onset_at, language),
            _scope(incident, texts),
            texts.named("kind", incident.kind),
            duration(incident.lasted(incident.last_seen_at or incident.onset_at), language),
            percent(incident.peak_failure_rate),
        ]
        for incident in listed.incidents
    ]
    heads = [texts(key) for key in ("table.state", "incidents.onset", "table.scope", "table.kind", "table.lasted", "incidents.peak")]
    with st.container(border=True, key="list_card"):
        st.html(cards.section(texts("incidents.list", number=count(len(rows)))))
        st.html(cards.table(heads, rows, numbers={4, 5}))
