"""장애: what happened, how long, whom it hit and what it cost."""

from datetime import datetime

import streamlit as st

from dashboard import cards, charts, remarks
from dashboard.cards import Figure
from dashboard.figures.course import Rule, Step
from dashboard.figures.incidents import Incident, IncidentFigures, window_of
from dashboard.formatting import count, duration, exact_won, moment, percent, spanned, unbroken, won
from dashboard.frame import banners, chart, freshness_line, with_states
from dashboard.link import choice
from dashboard.remarks import chance, demand_open, gained
from dashboard.settings import DashboardSettings
from dashboard.store import IncidentList, incident_list, incident_page
from dashboard.texts import Texts
from dashboard.views import hardest, losses, people, saying
from warehouse.analysis import LossEstimate

REFRESH_SECONDS = 10


def page(settings: DashboardSettings, texts: Texts) -> None:
    """The list of incidents and one of them in detail; the link says which."""
    listed = None
    with with_states(texts, settings, quiet=True):
        listed = incident_list(settings.published)
    if listed is None or not listed.incidents:
        st.fragment(_waiting, run_every=REFRESH_SECONDS, key="incidents_waiting")(settings, texts)
    else:
        incident = _chosen(listed, texts)
        st.fragment(_refreshing, run_every=REFRESH_SECONDS, key="incidents")(settings, texts, incident, tuple(one.incident_id for one in listed.incidents))
        st.fragment(losses.scenario, key="scenario")(settings, texts, listed, incident)
    known, merged = (listed.incidents, listed.merged) if listed else ([], {})
    st.fragment(saying.forms, key="saying")(settings, texts, known, st.session_state.get("incident"), merged)


def _waiting(settings: DashboardSettings, texts: Texts) -> None:
    with with_states(texts, settings):
        listed = incident_list(settings.published)
        if listed.incidents:
            st.rerun(scope="app")
        st.html(cards.heading(texts("incidents.nav")))
        freshness_line(listed.freshness, texts)
        banners(listed.freshness, texts)
        st.html(cards.state(texts("incidents.none"), [texts("incidents.none_detail")]))


def _refreshing(settings: DashboardSettings, texts: Texts, chosen: Incident, known: tuple[str, ...]) -> None:
    with with_states(texts, settings):
        listed = incident_list(settings.published)
        if tuple(one.incident_id for one in listed.incidents) != known:
            st.rerun(scope="app")
        incident = next(one for one in listed.incidents if one.incident_id == chosen.incident_id)
        st.html(cards.heading(title_of(incident, listed.manifest.now, texts), _place(incident, texts), _badge(incident, texts)))
        freshness_line(listed.freshness, texts)
        banners(listed.freshness, texts)
        with st.spinner(texts("incidents.estimating")):
            shown = incident_page(settings.published, listed, incident)
        if not incident.sales_known:
            whole = texts("incidents.whole_nation", scope=texts.named("scope", incident.scope).lower())
            st.html(cards.banner("warning", texts("incidents.warning"), whole))
        _headline(shown, texts)
        _course(shown, listed.manifest.now, texts)
        _charts(shown, texts)
        losses.steps(shown, texts)
        people.hit(shown, texts)
        hardest.hit(shown, texts)
        losses.method(shown, texts)
        _list(listed, texts)


def _chosen(listed: IncidentList, texts: Texts) -> Incident:
    known = {incident.incident_id: incident for incident in listed.incidents}
    asked = st.query_params.get("incident", "")
    if asked in listed.merged:
        st.html(cards.banner("muted", texts("incidents.merged"), texts("incidents.merged_detail", asked=asked)))
    elif asked and asked not in known:
        st.html(cards.banner("warning", texts("incidents.unknown"), texts("incidents.unknown_detail", asked=asked)))
    chosen = choice(
        texts("incidents.choose"),
        "incident",
        list(known),
        lambda name: label_of(known[name], listed.manifest.now, texts),
        always=True,
        became=listed.merged,
        own=losses.ASSUMED,
    )
    return known[chosen]


def label_of(incident: Incident, now: datetime, texts: Texts) -> str:
    """An incident in one line of a list, as ``name_of``, and whether it goes on."""
    return f"{name_of(incident, now, texts)} · {texts('incident.open') if incident.open else texts('incident.closed')}"


def name_of(incident: Incident, now: datetime, texts: Texts) -> str:
    """When, where and what, with the year where that is another than ``now``'s."""
    return f"{moment(incident.onset_at, texts.language, now)} · {scope_of(incident, texts)} · {texts.named('kind', incident.kind)}"


def title_of(incident: Incident, now: datetime, texts: Texts) -> str:
    """An incident's name, with its year where that is another than ``now``'s."""
    return texts("incidents.title", time=moment(incident.onset_at, texts.language, now), kind=texts.named("kind", incident.kind))


def scope_of(incident: Incident, texts: Texts) -> str:
    """Where it was."""
    return texts.placed(incident.scope, incident.place or incident.scope_name)


def _place(incident: Incident, texts: Texts) -> str:
    origin = texts("incidents.declared", name=incident.declared_by) if incident.declared_by else texts("incidents.detected")
    return f"{scope_of(incident, texts)} · {origin} · {incident.incident_id}"


def _badge(incident: Incident, texts: Texts) -> str:
    return cards.badge("danger", texts("incident.open")) if incident.open else cards.badge("good", texts("incident.closed"))


def _headline(shown: IncidentFigures, texts: Texts) -> None:
    language, loss, bought = texts.language, shown.loss, shown.purchases
    if loss is None:
        lost = Figure(texts("incidents.lost"), texts("app.not_available"), (texts(f"incidents.{shown.why_no_loss}"),), "muted", "lost")
        # The sum of what was approved is exact: nothing is missing for it but what to compare it with.
        sold, known = shown.observed, shown.observed is not None
        observed = Figure(
            texts("incidents.observed"),
            won(sold, language) if known else texts("app.not_available"),
            (exact_won(sold, language),) if known else (),
            "plain" if known else "muted",
            "observed",
        )
    else:
        lost = lost_figure(shown, loss, texts)
        notes = (
            exact_won(round(loss.observed), language),
            _of_expected(shown, loss, texts),
        )
        observed = Figure(texts("incidents.observed"), won(loss.observed, language), notes, "plain", "observed")
    share = texts("incidents.recovered", recovered=count(bought.recovered), share=percent(bought.recovered_share))
    left = texts("incidents.unrecovered", amount=won(bought.unrecovered_amount, language))
    purchases = Figure(texts("incidents.purchases"), texts("app.cases", number=count(bought.purchases)), (share, left), "plain", "purchases")
    peak = Figure(texts("incidents.peak"), percent(shown.incident.peak_failure_rate), (texts("incidents.peak_note"),), "plain", "peak")
    st.html(cards.figures([lost, observed, purchases, peak], lead=True))


def lost_figure(shown: IncidentFigures, loss: LossEstimate, texts: Texts) -> Figure:
    """The shortfall. On a launch nobody knows the demand: then its range leads, and the figure for a demand that went on as before comes second."""
    language, launch = texts.language, shown.launch
    interval = texts("incidents.interval", low=unbroken(won(loss.low, language)), high=unbroken(won(loss.high, language)))
    counted = {"time": moment(shown.end, language)}
    if shown.incident.open:
        status = texts("incidents.provisional", **counted)
    else:
        status = texts("incidents.provisional_ended", **counted, ended=moment(shown.incident.ended_at, language)) if shown.cut else texts("incidents.final")
    if launch is None:
        doubts = (chance(loss.low, loss.high, texts), texts("incidents.negative") if gained(loss.lost) else "")
        return Figure(texts("incidents.lost"), won(loss.lost, language), (interval, *doubts, status), "danger" if loss.low > 0 else "plain", "lost")
    ends = spanned(unbroken(won(launch.low, language)), unbroken(won(launch.high, language)), language)
    factors = texts("incidents.launch_range", **demand_open(launch))
    as_before = texts("incidents.as_before", lost=unbroken(won(loss.lost, language)), interval=interval)
    doubt = chance(launch.low, launch.high, texts, launch=True)
    return Figure(texts("incidents.lost"), ends, (factors, as_before, doubt, status), "danger" if launch.low > 0 else "plain", "lost")


def _of_expected(shown: IncidentFigures, loss: LossEstimate, texts: Texts) -> str:
    share = None if shown.lost_share is None else abs(shown.lost_share)
    if shown.launch is None:
        key = "incidents.above_expected" if gained(loss.lost) else "incidents.of_expected"
    else:
        key = "incidents.above_expected_before" if gained(loss.lost) else "incidents.of_expected_before"
    return texts(key, expected=won(loss.expected, texts.language), share=percent(share))


def as_before(shown: IncidentFigures, texts: Texts) -> str:
    """What a note adds where a figure holds only if demand had gone on as in the hours before."""
    return f" {texts('incidents.holds_as_before')}" if shown.launch else ""


def _course(shown: IncidentFigures, now: datetime, texts: Texts) -> None:
    ending = texts("incidents.lasting" if shown.incident.open else "incidents.lasted", span=duration(shown.lasted, texts.language))
    if shown.incident.open and not shown.lasted:
        ending = ""  # it was seen at its onset only: how long it goes on is not known
    st.html(cards.timeline([_step(step, ending, now, texts) for step in shown.course]))
    st.html(cards.facts([(texts("rule.word"), texts("rule.whom")), *[_rule(rule, shown.incident, now, texts) for rule in shown.rules]]))


def _step(step: Step, ending: str, now: datetime, texts: Texts) -> tuple[str, str, str]:
    language = texts.language
    if step.at is None:
        return texts(f"course.{step.what}"), texts("course.unknown"), texts("course.no_notice")
    after = texts("incidents.after", span=duration(step.after, language)) if step.after else ""
    notes = (ending if step.what in ("end", "last_seen") else after, texts("course.given", name=step.by) if step.by else "")
    return texts(f"course.{step.what}"), moment(step.at, language, now), " · ".join(note for note in notes if note)


def _rule(rule: Rule, incident: Incident, now: datetime, texts: Texts) -> tuple[str, str]:
    when = moment(rule.due, texts.language, now)
    if rule.name == "recovery":
        kept = "rule.broken" if rule.exceeded else "rule.running" if incident.open else "rule.kept"
        return texts("rule.recovery"), texts(kept, time=when)
    return texts(f"rule.{rule.name}"), texts("rule.reached", time=when) if rule.exceeded else texts("rule.not_reached")


def _charts(shown: IncidentFigures, texts: Texts) -> None:
    language, loss = texts.language, shown.loss
    if loss is None:
        st.html(cards.state(texts("incidents.no_estimate"), [texts(f"incidents.{shown.why_no_loss}"), texts(f"incidents.{shown.why_no_loss}_next")]))
        return
    span = (shown.steps["at"][0], shown.end)
    with st.container(border=True, key="loss_card"):
        st.html(cards.section(texts("incidents.sales_chart"), texts("incidents.sales_chart_note")))
        chart(
            charts.sales_chart(shown.steps, shown.steps, shown.spans, *span, texts, loss=True),
            "loss_chart",
            texts("incidents.sales_chart"),
            remarks.sales_sentence(loss, shown.launch, texts),
        )
    left, right = st.columns(2)
    with left, st.container(border=True, key="cumulative_card", height="stretch"):
        st.html(cards.section(texts("incidents.cumulative_chart"), texts("incidents.cumulative_note") + as_before(shown, texts)))
        sentence = texts(
            "incidents.cumulative_sentence", start=moment(shown.start, language), end=moment(shown.end, language), lost=won(shown.cumulative, language)
        )
        chart(charts.cumulative_chart(shown.steps, *span, texts), "cumulative_chart", texts("incidents.cumulative_chart"), sentence)
    with right, st.container(border=True, key="incident_rates_card", height="stretch"):
        st.html(cards.section(texts("live.rates_chart"), texts("live.rates_chart_note")))
        inside = shown.rates
        sentence = texts("live.rates_sentence", failure=percent(inside.failure), decline=percent(inside.decline), attempts=count(inside.attempts))
        chart(charts.rates_chart(shown.steps, shown.spans, *span, texts), "incident_rates_chart", texts("live.rates_chart"), sentence)


def _list(listed: IncidentList, texts: Texts) -> None:
    language = texts.language
    rows = [
        [
            texts("incident.open") if incident.open else texts("incident.closed"),
            moment(incident.onset_at, language, listed.manifest.now),
            scope_of(incident, texts),
            texts.named("kind", incident.kind),
            duration(incident.lasted(incident.goes_on_at(window_of(incident, listed.manifest.watermark)[1])), language),
            percent(incident.peak_failure_rate),
        ]
        for incident in listed.incidents
    ]
    heads = [texts(key) for key in ("table.state", "course.onset", "table.scope", "table.kind", "table.lasted", "incidents.peak")]
    with st.container(border=True, key="list_card"):
        st.html(cards.section(texts("incidents.list", number=count(len(rows)))))
        st.html(cards.table(heads, rows, numbers={4, 5}, name=texts("incidents.list", number=count(len(rows)))))
