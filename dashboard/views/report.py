"""손실 보고서: preview, download, issue. What is shown stays as it was made until the reader asks for another."""

from datetime import datetime
from functools import partial

import streamlit as st

from dashboard import access, audit, cards
from dashboard.figures.incidents import Incident
from dashboard.formatting import SEOUL, moment
from dashboard.frame import banners, freshness_line, with_states
from dashboard.link import choice, switch
from dashboard.report.author import AuthorError, AuthorFiles, read_author
from dashboard.report.gathering import STAGES, UnfinishedError
from dashboard.report.wording import Wording, why_unfinished
from dashboard.report.writing import Written, issued, write_report
from dashboard.saying import MaybeSentError, NotSentError, say
from dashboard.settings import DashboardSettings
from dashboard.store import IncidentList, incident_list, kafka_is_there, shaping
from dashboard.texts import Texts
from dashboard.views.incidents import name_of
from warehouse.commands import PayloadError

MIMES = {"pdf": "application/pdf", "html": "text/html", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
HEIGHT = 900


def page(settings: DashboardSettings, texts: Texts) -> None:
    """The report on one incident; the link says which, and at which stage."""
    st.html(cards.heading(texts("report.nav"), texts("report_page.note")))
    with with_states(texts, settings):
        listed = incident_list(settings.published)
        freshness_line(listed.freshness, texts)
        banners(listed.freshness, texts)
        if not listed.incidents:
            st.html(cards.state(texts("incidents.none"), [texts("incidents.none_detail")]))
            return
        incident, stage = _chosen(listed, texts)
        author = _author(settings, texts)
        try:
            written, changed = _made(settings, texts, listed, incident, stage, author)
        except UnfinishedError as error:
            st.html(cards.banner("warning", texts("report_page.final_refused"), why_unfinished(error, Wording(texts))))
            return
        if changed:
            st.html(cards.banner("warning", texts("report_page.changed"), texts("report_page.changed_next")))
        _downloads(settings, written, texts)
        if stage != "draft" and not changed:
            _issuing(settings, texts, written)
        with st.container(border=True, key="report_card"):
            st.html(cards.section(texts("report_page.preview")))
            # Everything in it is escaped, and its policy allows no script.
            st.iframe(written.files["html"].decode(), height=HEIGHT, alt=texts("report_page.preview"))


def _chosen(listed: IncidentList, texts: Texts) -> tuple[Incident, str]:
    known = {incident.incident_id: incident for incident in listed.incidents}
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    with left:
        chosen = choice(
            texts("incidents.choose"), "incident", list(known), lambda name: name_of(known[name], listed.manifest.now, texts), always=True, became=listed.merged
        )
    with right:
        stage = switch(texts("report_page.stage"), "stage", STAGES, lambda name: texts(f"report_stage.{name}"))
    return known[chosen], stage


def _author(settings: DashboardSettings, texts: Texts) -> AuthorFiles:
    try:
        author = read_author(settings.report_files)
    except AuthorError as error:
        st.html(cards.banner("warning", texts("report_page.author_wrong"), str(error)))
        return AuthorFiles()
    said = texts("report_page.author", folder=settings.report_files) if settings.report_files else texts("report_page.no_author")
    st.html(cards.caption(said))
    return author


def _made(settings: DashboardSettings, texts: Texts, listed: IncidentList, incident: Incident, stage: str, author: AuthorFiles) -> tuple[Written, bool]:
    """The report as it was made; and whether something that it depends on has been said or corrected since."""
    asked = (incident.incident_id, stage, texts.language, tuple(sorted(author.raw.items())))
    shaped = shaping(settings.published, listed.manifest)
    again = st.button(texts("report_page.again"), key="make_again")
    kept = st.session_state.get("report")
    if again or kept is None or kept[0] != asked:
        with st.spinner(texts("report_page.making")):
            found = next(name for name in STAGES if name == stage)
            st.session_state["report"] = (asked, write_report(settings.published, incident.incident_id, author, texts.language, stage=found), shaped)
    _, written, made_of = st.session_state["report"]
    return written, made_of != shaped


def _downloads(settings: DashboardSettings, written: Written, texts: Texts) -> None:
    with st.container(horizontal=True, key="report_downloads"):
        for form, content in written.files.items():
            st.download_button(
                texts(f"report_page.{form}"),
                audit.taken(settings, {"report": written.name, "form": form}, partial(bytes, content)),
                f"{written.name}.{form}",
                MIMES[form],
                key=f"report_{form}",
                on_click="ignore",
                type="primary" if form == "pdf" else "secondary",
            )
    st.html(cards.caption(texts("report_page.made_of", time=moment(written.report.provenance.as_of, texts.language), inputs=written.report.provenance.inputs)))


def _issuing(settings: DashboardSettings, texts: Texts, written: Written) -> None:
    with st.container(border=True, key="issue_card"):
        st.html(cards.section(texts("report_page.issue"), texts("report_page.issue_note")))
        if not settings.kafka or not kafka_is_there(settings.kafka):
            st.html(cards.banner("muted", texts("report_page.no_kafka"), texts("report_page.no_kafka_next")))
        elif not access.may_say(settings):
            st.html(cards.banner("muted", texts("say.viewer"), texts("say.viewer_next")))
        else:
            _form(settings, texts, written)


def _form(settings: DashboardSettings, texts: Texts, written: Written) -> None:
    with st.form("issue"):
        name = access.name()
        actor = st.text_input(
            texts("report_page.actor"),
            value=name or st.session_state.get("actor", ""),
            max_chars=64,
            disabled=bool(name),
            autocomplete="name",
            key="issue_actor",
        )
        note = st.text_input(texts("report_page.note_label"), max_chars=400, key="issue_note")
        if not st.form_submit_button(texts("report_page.confirm"), type="primary"):
            return
    who = (name or actor or "").strip()
    if not who:
        st.html(cards.banner("warning", texts("report_page.not_issued"), texts("report_page.actor_needed")))
        return
    st.session_state["actor"] = who
    try:
        say(settings, who, "report_issued", issued(written, note or ""))
    except (PayloadError, NotSentError) as error:
        st.html(cards.banner("danger", texts("report_page.not_issued"), str(error)))
    except MaybeSentError as error:
        st.html(cards.banner("danger", texts("report_page.maybe_issued"), texts("report_page.maybe_issued_next", error=error)))
    else:
        now = moment(datetime.now(SEOUL), texts.language)
        st.html(cards.banner("good", texts("report_page.issued", time=now), texts("report_page.issued_detail")))
