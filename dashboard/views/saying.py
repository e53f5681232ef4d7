"""The part of a page where people say something: forms that become commands, with who and when."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from dashboard import access, cards
from dashboard.checking import lacking
from dashboard.figures.incidents import Incident
from dashboard.figures.said import Said
from dashboard.formatting import SEOUL, clock, day_name, moment, percent, seoul, won
from dashboard.link import choice
from dashboard.saying import MaybeSentError, NotSentError, say
from dashboard.settings import DashboardSettings
from dashboard.store import UnreadableError, kafka_is_there, said_page
from dashboard.texts import Texts
from dashboard.views import naming
from dashboard.views.naming import Names
from warehouse.commands import PayloadError
from warehouse.reading import NothingPublishedError

ABOUT_INCIDENTS = (
    "incident_corrected",
    "incident_merged",
    "claim_entered",
    "survey_entered",
    "incident_declared",
    "span_excluded",
    "maintenance_announced",
    "withdrawn",
)
Fields = Callable[[Texts, Sequence[Incident], Incident | None], dict[str, Any]]
NamedFields = Callable[[Texts, Names], dict[str, Any]]


def forms(
    settings: DashboardSettings, texts: Texts, incidents: Sequence[Incident] = (), chosen: str | None = None, *, kinds: Sequence[str] = ABOUT_INCIDENTS
) -> None:
    """A form for what a person wants to say, of one of ``kinds``; without a reachable Kafka, why there is none."""
    with st.container(border=True, key="saying_card"):
        st.html(cards.section(texts("say.title"), texts("say.note")))
        if not settings.kafka:
            st.html(cards.banner("muted", texts("say.no_kafka"), texts("say.no_kafka_next")))
        elif not kafka_is_there(settings.kafka):
            st.html(cards.banner("warning", texts("say.unreachable"), texts("say.unreachable_next", kafka=settings.kafka)))
        elif not access.may_say(settings):
            st.html(cards.banner("muted", texts("say.viewer"), texts("say.viewer_next")))
        else:
            incident = next((one for one in incidents if one.incident_id == chosen), None)
            _form(settings, texts, incidents, incident, [kind for kind in kinds if incident is not None or kind not in _OF_AN_INCIDENT])


def _form(settings: DashboardSettings, texts: Texts, incidents: Sequence[Incident], incident: Incident | None, kinds: Sequence[str]) -> None:
    kind = choice(texts("say.what"), "say", kinds, lambda name: texts(f"say.{name}"))
    known = naming.names(settings) if kind in _NAMED else {}
    place = naming.place(known, texts) if kind == "incident_declared" else {}
    with st.form(f"say_{kind}", clear_on_submit=False):
        st.html(cards.caption(texts(f"say_help.{kind}")))
        payload = place | (
            _NAMED[kind](texts, known)
            if kind in _NAMED
            else _FIELDS[kind](texts, incidents, incident)
            if kind in _FIELDS
            else _withdrawn(texts, _kept(settings, kinds, incident))
        )
        name = access.name()
        actor = st.text_input(texts("say.who"), value=name or st.session_state.get("actor", ""), max_chars=64, disabled=bool(name), autocomplete="name")
        if st.form_submit_button(texts("say.send"), type="primary"):
            _send(settings, texts, (name or actor or "").strip(), kind, payload)


def _send(settings: DashboardSettings, texts: Texts, actor: str, kind: str, payload: dict[str, Any]) -> None:
    if not actor:
        st.html(cards.banner("warning", texts("say.nobody"), texts("say.nobody_next")))
        return
    st.session_state["actor"] = actor
    wrong = lacking(kind, payload, datetime.now(SEOUL), texts)
    if wrong:
        st.html(cards.banner("warning", texts("say.refused"), wrong))
        return
    try:
        command_id = say(settings, actor, kind, {name: value for name, value in payload.items() if value is not None})
    except PayloadError as error:
        st.html(cards.banner("warning", texts("say.refused"), str(error)))
    except NotSentError as error:
        st.html(cards.banner("danger", texts("say.not_sent"), str(error)))
    except MaybeSentError as error:
        st.html(cards.banner("danger", texts("say.maybe_sent"), texts("say.maybe_sent_next", error=error)))
    else:
        now = moment(datetime.now(SEOUL), texts.language)
        st.html(cards.banner("good", texts("say.sent"), texts("say.sent_detail", actor=actor, time=now, id=command_id)))


def _time(label: str, value: datetime | None, key: str) -> str | None:
    """A time as Seoul's clock shows it, to the minute. None where it is left as it stood: a measured time that nobody touched was not given by anybody."""
    stood = value.astimezone(SEOUL).replace(second=0, microsecond=0, tzinfo=None) if value else None
    given = st.datetime_input(label, value=stood, key=key, step=60)
    return given.replace(tzinfo=SEOUL).isoformat() if given and given != stood else None


def _text(label: str, key: str, *, limit: int = 200) -> str | None:
    return (st.text_input(label, key=key, max_chars=limit) or "").strip() or None


def _span(texts: Texts, kind: str, *, ends: str = "say.ends") -> dict[str, Any]:
    left, right = st.columns(2)
    with left:
        starts = _time(texts("say.starts"), None, f"{kind}_starts")
    with right:
        until = _time(texts(ends), None, f"{kind}_ends")
    return {"starts_at": starts, "ends_at": until}


def _declared(texts: Texts, _: Names) -> dict[str, Any]:
    left, right = st.columns(2)
    with left:
        onset = _time(texts("course.onset"), None, "declared_onset")
    with right:
        ended = _time(texts("say.ended"), None, "declared_ended")
    note = st.text_area(texts("say.remark"), key="declared_note", max_chars=4000, height=80)
    return {"onset_at": onset, "ended_at": ended, "note": note or ""}


def _corrected(texts: Texts, _: Sequence[Incident], incident: Incident | None) -> dict[str, Any]:
    assert incident is not None
    left, right = st.columns(2)
    with left:
        onset = _time(texts("course.onset"), incident.onset_at, f"corrected_onset_{incident.incident_id}")
    with right:
        ended = _time(texts("say.ended"), incident.ended_at, f"corrected_ended_{incident.incident_id}")
    return {"incident_id": incident.incident_id, "onset_at": onset, "ended_at": ended}


def _merged(texts: Texts, incidents: Sequence[Incident], incident: Incident | None) -> dict[str, Any]:
    assert incident is not None
    others = [one.incident_id for one in incidents if one.incident_id != incident.incident_id]
    times = {one.incident_id: f"{day_name(seoul(one.onset_at).date(), texts.language)} {clock(one.onset_at)} · {one.incident_id}" for one in incidents}
    into = st.selectbox(texts("say.into"), others, format_func=lambda name: times[name], key="merged_into")
    return {"incident_id": incident.incident_id, "into": into}


def _excluded(texts: Texts, known: Names) -> dict[str, Any]:
    label = _text(texts("say.label"), "excluded_label")
    span = _span(texts, "excluded")
    return {"label": label, **span, "market_id": naming.named(texts("say.market_id"), "market", known, texts, "excluded_market")}


def _maintenance(texts: Texts, known: Names) -> dict[str, Any]:
    label = _text(texts("say.label"), "maintenance_label")
    span = _span(texts, "maintenance")
    return {"label": label, **span, "service": naming.named(texts("say.service"), "service", known, texts, "maintenance_service")}


def _operator(texts: Texts, _: Sequence[Incident], __: Incident | None) -> dict[str, Any]:
    name = _text(texts("say.operator"), "operator_name")
    return {"name": name, **_span(texts, "operator", ends="say.ends_open")}


def _claim(texts: Texts, _: Sequence[Incident], incident: Incident | None) -> dict[str, Any]:
    assert incident is not None
    left, right = st.columns(2)
    with left:
        source = _text(texts("say.source"), "claim_source")
    with right:
        amount = st.number_input(texts("say.amount"), min_value=0, value=None, step=10_000_000, key="claim_amount", format="%d")
    note = st.text_area(texts("say.remark"), key="claim_note", max_chars=4000, height=80)
    return {"source": source, "amount": amount, "note": note or "", "incident_id": incident.incident_id}


def _survey(texts: Texts, _: Sequence[Incident], incident: Incident | None) -> dict[str, Any]:
    label = _text(texts("say.label"), "survey_label")
    shares = {}
    for column, name in zip(st.columns(3), ("low", "substitution", "high"), strict=True):
        with column:
            shares[name] = st.number_input(texts(f"say.{name}"), min_value=0.0, max_value=100.0, value=None, step=5.0, key=f"survey_{name}", format="%.1f")
    note = st.text_area(texts("say.remark"), key="survey_note", max_chars=4000, height=80)
    said = {name: None if share is None else round(share / 100, 6) for name, share in shares.items()}
    return {"label": label, **said, "note": note or "", "incident_id": incident.incident_id if incident else None}


def _kept(settings: DashboardSettings, kinds: Sequence[str], incident: Incident | None) -> list[Said]:
    """What was said, about this incident or about none; of operators where they are said too, and only there."""
    try:
        said = said_page(settings.published)
    except (NothingPublishedError, UnreadableError):
        return []
    mine = [one for one in said if (one.kind == "operator_period") == ("operator_period" in kinds)]
    return [one for one in mine if incident is None or one.words.get("incident_id") in (None, incident.incident_id)]


def _withdrawn(texts: Texts, said: Sequence[Said]) -> dict[str, Any]:
    chosen = st.selectbox(
        texts("say.taken_back"),
        range(len(said)),
        index=None,
        format_func=lambda number: _told(said[number], texts),
        key="withdrawn",
        placeholder=texts("say.choose" if said else "say.nothing_said"),
        disabled=not said,
    )
    note = st.text_area(texts("say.remark"), key="withdrawn_note", max_chars=4000, height=80)
    return ({} if chosen is None else {"said": said[chosen].kind, "words": said[chosen].words}) | {"note": note or ""}


def _told(one: Said, texts: Texts) -> str:
    """One line that tells it from others of its kind."""
    words = one.words
    told = [texts(f"said.{one.kind}"), *(str(words[name]) for name in ("source", "label", "name", "market_id") if name in words)]
    if "service" in words:
        told.append(texts.named("service", words["service"]))
    if "amount" in words:
        told.append(won(words["amount"], texts.language))
    if "substitution" in words:
        told.append(percent(words["substitution"], 0))
    if "starts_at" in words:
        told.append(" ~ ".join(moment(datetime.fromisoformat(words[name]), texts.language) for name in ("starts_at", "ends_at") if name in words))
    return " · ".join(told)


_FIELDS: Mapping[str, Fields] = {
    "incident_corrected": _corrected,
    "incident_merged": _merged,
    "claim_entered": _claim,
    "survey_entered": _survey,
    "operator_period": _operator,
}
_NAMED: Mapping[str, NamedFields] = {
    "incident_declared": _declared,
    "span_excluded": _excluded,
    "maintenance_announced": _maintenance,
}
"""Forms in which something known is named."""

_OF_AN_INCIDENT = ("incident_corrected", "incident_merged", "claim_entered")
