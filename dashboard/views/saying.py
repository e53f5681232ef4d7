"""The part of a page where people say something: forms that become commands, with who and when."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import streamlit as st

from dashboard import access, cards
from dashboard.checking import lacking
from dashboard.figures.incidents import Incident
from dashboard.figures.said import Said
from dashboard.formatting import SEOUL, clock, day_name, moment, percent, seoul, spanned, won
from dashboard.link import choice
from dashboard.saying import MaybeSentError, NotSentError, say
from dashboard.settings import DashboardSettings
from dashboard.store import UnreadableError, kafka_is_there, said_page
from dashboard.texts import Texts
from dashboard.views import naming
from dashboard.views.naming import Names
from warehouse.commands import MOST_KRW, PayloadError
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


@dataclass(frozen=True)
class Around:
    """What a form stands beside. ``merged``: incidents that are part of another, each with that one; ``kinds``: what can be said here."""

    settings: DashboardSettings
    texts: Texts
    incidents: Sequence[Incident] = ()
    incident: Incident | None = None
    merged: Mapping[str, str] = field(default_factory=dict)
    kinds: Sequence[str] = ABOUT_INCIDENTS

    @cached_property
    def known(self) -> Names:
        """The known names of every kind."""
        return naming.names(self.settings)

    @property
    def chosen(self) -> Incident:
        """The incident of a form that is about one."""
        assert self.incident is not None, "offered where an incident is chosen"
        return self.incident


Fields = Callable[[Around], dict[str, Any]]


def forms(
    settings: DashboardSettings,
    texts: Texts,
    incidents: Sequence[Incident] = (),
    chosen: str | None = None,
    merged: Mapping[str, str] | None = None,
    *,
    kinds: Sequence[str] = ABOUT_INCIDENTS,
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
            offered = [kind for kind in kinds if incident is not None or kind not in _OF_AN_INCIDENT]
            _form(Around(settings, texts, incidents, incident, merged or {}, kinds), offered)


def _form(around: Around, offered: Sequence[str]) -> None:
    texts = around.texts
    kind = choice(texts("say.what"), "say", offered, lambda name: texts(f"say.{name}"))
    place = naming.place(around.known, texts) if kind == "incident_declared" else {}
    with st.form(f"say_{kind}", clear_on_submit=False):
        st.html(cards.caption(texts(f"say_help.{kind}")))
        payload = place | _FIELDS[kind](around)
        name = access.name()
        actor = st.text_input(texts("say.who"), value=name or st.session_state.get("actor", ""), max_chars=64, disabled=bool(name), autocomplete="name")
        if st.form_submit_button(texts("say.withdraw" if kind == "withdrawn" else "say.send"), type="primary"):
            _send(around, (name or actor or "").strip(), kind, payload)


def _send(around: Around, actor: str, kind: str, payload: dict[str, Any]) -> None:
    texts = around.texts
    if not actor:
        st.html(cards.banner("warning", texts("say.nobody"), texts("say.nobody_next")))
        return
    st.session_state["actor"] = actor
    wrong = lacking(kind, payload, datetime.now(SEOUL), texts, _standing(kind, around.incident))
    if wrong:
        st.html(cards.banner("warning", texts("say.refused"), wrong))
        return
    if st.session_state.get("said") == (kind, payload):
        st.html(cards.banner("muted", texts("say.again"), texts("say.again_next")))
        return
    try:
        command_id = say(around.settings, actor, kind, {name: value for name, value in payload.items() if value is not None})
    except PayloadError as error:
        st.html(cards.banner("warning", texts("say.refused"), str(error)))
    except NotSentError as error:
        st.html(cards.banner("danger", texts("say.not_sent"), str(error)))
    except MaybeSentError as error:
        st.html(cards.banner("danger", texts("say.maybe_sent"), texts("say.maybe_sent_next", error=error)))
    else:
        st.session_state["said"] = kind, payload
        now = moment(datetime.now(SEOUL), texts.language)
        st.html(cards.banner("good", texts("say.sent"), texts("say.sent_detail", actor=actor, time=now, id=command_id)))


def _standing(kind: str, incident: Incident | None) -> dict[str, datetime]:
    """The times that a correction leaves as they are."""
    if kind != "incident_corrected" or incident is None:
        return {}
    return {name: time for name, time in (("onset_at", incident.onset_at), ("ended_at", incident.ended_at)) if time is not None}


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


def _declared(around: Around) -> dict[str, Any]:
    texts = around.texts
    left, right = st.columns(2)
    with left:
        onset = _time(texts("course.onset"), None, "declared_onset")
    with right:
        ended = _time(texts("say.ended"), None, "declared_ended")
    note = st.text_area(texts("say.remark"), key="declared_note", max_chars=4000, height=80)
    return {"onset_at": onset, "ended_at": ended, "note": note or ""}


def _corrected(around: Around) -> dict[str, Any]:
    texts, incident = around.texts, around.chosen
    left, right = st.columns(2)
    with left:
        onset = _time(texts("course.onset"), incident.onset_at, f"corrected_onset_{incident.incident_id}")
    with right:
        ended = _time(texts("say.ended"), incident.ended_at, f"corrected_ended_{incident.incident_id}")
    return {"incident_id": incident.incident_id, "onset_at": onset, "ended_at": ended}


def _merged(around: Around) -> dict[str, Any]:
    texts, incident = around.texts, around.chosen
    others = [one.incident_id for one in around.incidents if one.incident_id != incident.incident_id]
    times = {one.incident_id: f"{day_name(seoul(one.onset_at).date(), texts.language)} {clock(one.onset_at)} · {one.incident_id}" for one in around.incidents}
    into = st.selectbox(texts("say.into"), others, format_func=lambda name: times[name], key="merged_into")
    return {"incident_id": incident.incident_id, "into": into}


def _excluded(around: Around) -> dict[str, Any]:
    texts, known = around.texts, around.known
    label = _text(texts("say.label"), "excluded_label")
    span = _span(texts, "excluded")
    return {"label": label, **span, "market_id": naming.named(texts("say.market_id"), "market", known, texts, "excluded_market")}


def _maintenance(around: Around) -> dict[str, Any]:
    texts, known = around.texts, around.known
    label = _text(texts("say.label"), "maintenance_label")
    span = _span(texts, "maintenance")
    return {"label": label, **span, "service": naming.named(texts("say.service"), "service", known, texts, "maintenance_service")}


def _operator(around: Around) -> dict[str, Any]:
    texts = around.texts
    name = _text(texts("say.operator"), "operator_name")
    return {"name": name, **_span(texts, "operator", ends="say.ends_open")}


def _claim(around: Around) -> dict[str, Any]:
    texts, incident = around.texts, around.chosen
    left, right = st.columns(2)
    with left:
        source = _text(texts("say.source"), "claim_source")
    with right:
        amount = st.number_input(texts("say.amount"), min_value=0, max_value=MOST_KRW, value=None, step=10_000_000, key="claim_amount", format="%d")
    note = st.text_area(texts("say.remark"), key="claim_note", max_chars=4000, height=80)
    return {"source": source, "amount": amount, "note": note or "", "incident_id": incident.incident_id}


def _survey(around: Around) -> dict[str, Any]:
    texts, incident = around.texts, around.incident
    label = _text(texts("say.label"), "survey_label")
    shares = {}
    for column, name in zip(st.columns(3), ("low", "substitution", "high"), strict=True):
        with column:
            shares[name] = st.number_input(texts(f"say.{name}"), min_value=0.0, max_value=100.0, value=None, step=5.0, key=f"survey_{name}", format="%.1f")
    note = st.text_area(texts("say.remark"), key="survey_note", max_chars=4000, height=80)
    said = {name: None if share is None else round(share / 100, 6) for name, share in shares.items()}
    return {"label": label, **said, "note": note or "", "incident_id": incident.incident_id if incident else None}


def _kept(around: Around) -> list[Said]:
    """What was said, about this incident and its parts or about none; of operators where they are said too, and only there."""
    try:
        said = said_page(around.settings.published)
    except (NothingPublishedError, UnreadableError):
        return []
    mine = [one for one in said if (one.kind == "operator_period") == ("operator_period" in around.kinds)]
    if around.incident is None:
        return mine
    whole = around.incident.incident_id
    about = {None, whole, *(part for part, into in around.merged.items() if into == whole)}
    return [one for one in mine if one.words.get("incident_id") in about]


def _withdrawn(around: Around) -> dict[str, Any]:
    texts = around.texts
    # By what they say and not by their places, which move when another one is taken back meanwhile.
    said = {json.dumps([one.kind, one.words], ensure_ascii=False): one for one in _kept(around)}
    chosen = st.selectbox(
        texts("say.taken_back"),
        list(said),
        index=None,
        format_func=lambda entry: _told(said[entry], around) if entry in said else entry,
        key=f"withdrawn_{around.incident.incident_id if around.incident else ''}",
        placeholder=texts("say.choose" if said else "say.nothing_said"),
        disabled=not said,
    )
    note = st.text_area(texts("say.remark"), key="withdrawn_note", max_chars=4000, height=80)
    one = said.get(chosen) if chosen else None
    return ({"said": one.kind, "words": one.words} if one else {}) | {"note": note or ""}


def _told(one: Said, around: Around) -> str:
    """One line that tells it from others of its kind."""
    words, texts = one.words, around.texts
    told = [texts(f"said.{one.kind}"), *(str(words[name]) for name in ("source", "label", "name") if name in words)]
    told += [
        naming.label_of(kind, words[name], around.known.get(kind, {}), texts)
        for name, kind in (("market_id", "market"), ("service", "service"))
        if name in words
    ]
    if "amount" in words:
        told.append(won(words["amount"], texts.language))
    if "substitution" in words:
        told.append(percent(words["substitution"], 0))
    if "starts_at" in words:
        times = [seoul(datetime.fromisoformat(words[name])) for name in ("starts_at", "ends_at") if name in words]
        start, *end = [f"{day_name(time.date(), texts.language)} {clock(time)}" for time in times]
        told.append(spanned(start, end[0], texts.language) if end else start)
    return " · ".join(told)


_FIELDS: Mapping[str, Fields] = {
    "incident_corrected": _corrected,
    "incident_merged": _merged,
    "claim_entered": _claim,
    "survey_entered": _survey,
    "operator_period": _operator,
    "incident_declared": _declared,
    "span_excluded": _excluded,
    "maintenance_announced": _maintenance,
    "withdrawn": _withdrawn,
}

_OF_AN_INCIDENT = ("incident_corrected", "incident_merged", "claim_entered")
