"""The part of an incident's page about people."""

import streamlit as st

from dashboard import cards
from dashboard.cards import Figure
from dashboard.figures.incidents import IncidentFigures
from dashboard.formatting import count
from dashboard.texts import Texts


def hit(shown: IncidentFigures, texts: Texts) -> None:
    """Buyers, attempts, hours in the queue, who gave up, and registrations that were blocked."""
    found = shown.people
    why = texts("people.national") if shown.incident.scope != "nation" else texts("people.no_load")
    buyers = texts("people.without_buyer", number=count(found.purchases_without_buyer)) if found.purchases_without_buyer else ""
    figures = [
        _figure("buyers", found.buyers, "live.people", (buyers,) if found.buyers is not None else (texts("people.no_buyers"),), texts),
        _figure("attempts", found.attempts, "app.cases", (texts("people.attempts_note"),), texts),
        _figure("given_up", found.given_up, "app.cases", (texts("people.given_up_note"),), texts),
        _figure(
            "hours",
            None if found.hours_waited is None else round(found.hours_waited),
            "people.person_hours",
            (texts("people.hours_note", longest=count(found.longest_queue)) if found.hours_waited is not None else why,),
            texts,
        ),
        _figure("abandoned", found.abandoned, "app.times", (texts("people.abandoned_note") if found.abandoned is not None else why,), texts),
        _figure(
            "registration",
            found.registrations_blocked,
            "app.times",
            (texts("people.registration_note", attempts=count(found.registrations)) if found.registrations is not None else why,),
            texts,
        ),
    ]
    with st.container(border=True, key="people_card"):
        st.html(cards.section(texts("people.title"), texts("people.note")))
        st.html(cards.figures(figures, thirds=True))


def _figure(name: str, number: int | None, unit: str, notes: tuple[str, ...], texts: Texts) -> Figure:
    if number is None:
        return Figure(texts(f"people.{name}"), texts("app.not_available"), notes, "muted", f"people_{name}")
    return Figure(texts(f"people.{name}"), texts(unit, number=count(number)), notes, "plain", f"people_{name}")
