"""The part of an incident's page about money: from gross to merchants' loss, methods side by side, scenarios, and how it was estimated."""

import streamlit as st

from dashboard import bars, cards
from dashboard.cards import Figure
from dashboard.evidence import evidence_rows
from dashboard.figures.incidents import Incident, IncidentFigures
from dashboard.figures.methods import Method
from dashboard.formatting import MISSING, percent, spanned, unbroken, won
from dashboard.frame import chart, with_states
from dashboard.link import number
from dashboard.remarks import chance, gained, joined, taken_back_sentence
from dashboard.remarks import sentence as remark_sentence
from dashboard.settings import DashboardSettings
from dashboard.store import IncidentList, incident_page
from dashboard.texts import Texts
from warehouse.ladder import Ladder, Range, Scenario

DEMANDS = (0.5, 4.0)
"""Ends of the slider of demand."""

ASSUMED = ("demand", "sigma", "unseen")
"""What the sliders are called in the link: each stands where its own incident puts it until somebody moves it."""


def steps(shown: IncidentFigures, texts: Texts) -> None:
    """From expected sales to merchants' loss as far as data tell, and every method's figure beside it."""
    ladder, account = shown.ladder(), shown.account
    if ladder is None or account is None:
        return
    with st.container(border=True, key="ladder_card"):
        st.html(cards.section(texts("ladder.title"), texts("ladder.note")))
        left, right = st.columns([3, 2])
        with left:
            chart(bars.ladder_chart(ladder, texts), "ladder_chart", texts("ladder.title"), _ladder_sentence(ladder, texts))
        with right:
            negative = [texts("incidents.negative")] if ladder.gross.low < 0 else []
            told = [_made_up(shown, ladder, texts), taken_back_sentence(account.taken_back, texts)]
            st.html(cards.paragraphs([*told, _substitution(shown, ladder, texts), *negative]))
    with st.container(border=True, key="methods_card"):
        st.html(cards.section(texts("methods.title"), texts("methods.note")))
        names = [_name(method, texts) for method in shown.methods]
        left, right = st.columns(2)
        with left:
            chart(bars.methods_chart(shown.methods, names, texts), "methods_chart", texts("methods.title"), _claims_sentence(shown.methods, texts))
        with right:
            rows = [
                [name, texts(f"about.{method.about}"), _value(method, texts), _interval(method, texts)]
                for name, method in zip(names, shown.methods, strict=True)
            ]
            st.html(
                cards.table(
                    [texts(key) for key in ("table.method", "table.about", "table.amount", "table.ends")], rows, numbers={2}, name=texts("methods.title")
                )
            )
        evidence = evidence_rows(shown, texts)
        if evidence:
            heads = [texts(key) for key in ("table.kind", "table.source", "table.amount", "table.entered", "table.remark")]
            st.html(cards.caption(texts("methods.evidence")))
            st.html(cards.table(heads, evidence, numbers={2}, name=texts("methods.evidence")))
        for disagreement in shown.disagreements:
            st.html(cards.banner("warning", texts("incidents.warning"), remark_sentence(disagreement, texts)))
        st.html(cards.paragraphs([remark_sentence(remark, texts) for found in shown.methods for remark in found.remarks]))


def scenario(settings: DashboardSettings, texts: Texts, listed: IncidentList, incident: Incident) -> None:
    """Sliders for what data do not tell. Nothing here changes a figure above, or one that was issued."""
    with with_states(texts, settings):
        shown = incident_page(settings.published, listed, incident)
        known = shown.ladder()
        if known is None:
            return
        with st.container(border=True, key="scenario_card"):
            st.html(cards.section(texts("scenario.title"), texts("scenario.note")))
            columns = st.columns(3)
            with columns[0]:
                demand = _demand(shown, texts)
            with columns[1]:
                sigma = number(
                    texts("scenario.sigma"), "sigma", (0.0, 100.0, 1.0), float(known.substitution_percent), form="%d%%", help_text=texts("scenario.sigma_help")
                )
            with columns[2]:
                back = number(
                    texts("scenario.unseen"), "unseen", (0.0, 100.0, 1.0), float(known.back_percent), form="%d%%", help_text=texts("scenario.unseen_help")
                )
            ladder = shown.ladder(Scenario.moved(demand, sigma, back, known))
            if ladder is not None:
                _assumed(ladder, texts)


def _demand(shown: IncidentFigures, texts: Texts) -> float:
    """Over what was expected; on a launch over an ordinary day's, at first as in the hours before."""
    least, most = DEMANDS
    if shown.launch is None:
        return number(texts("scenario.demand"), "demand", (least, most, 0.1), 1.0, form="%.1f×", help_text=texts("scenario.demand_help"))
    usual = round(min(max(shown.launch.morning[0] if shown.launch.morning else 1.0, least), most), 1)
    label, told = texts("scenario.launch_demand"), texts("scenario.launch_demand_help")
    return number(label, "demand", (least, most, 0.1), usual, form="%.1f×", help_text=told)


def method(shown: IncidentFigures, texts: Texts) -> None:
    """How the loss was estimated, and what the estimate itself warns of."""
    if shown.loss is None:
        return
    with st.container(border=True, key="method_card"):
        st.html(cards.section(texts("incidents.method")))
        st.html(cards.paragraphs([texts("incidents.method_gross"), remark_sentence(shown.loss.method, texts)]))
        for warning in shown.loss.warnings:
            st.html(cards.banner("warning", texts("incidents.warning"), remark_sentence(warning, texts)))


def _assumed(ladder: Ladder, texts: Texts) -> None:
    figures = [
        Figure(texts("ladder.gross"), *_known(ladder.gross, texts), "plain", "scenario_gross"),
        Figure(texts("ladder.net"), *_known(ladder.net, texts), "plain", "scenario_net"),
        Figure(texts("ladder.merchants"), *_known(ladder.merchants, texts), "danger", "scenario_merchants"),
    ]
    st.html(cards.figures(figures))
    chart(bars.ladder_chart(ladder, texts), "scenario_chart", texts("scenario.title"), texts("scenario.sentence"))


def _known(found: Range, texts: Texts) -> tuple[str, tuple[str]]:
    """The value with its interval; where only that is known, the interval."""
    if found.value is None:
        return said(found, texts), (texts("ladder.range_only" if found.ranged else "ladder.interval_only"),)
    return won(found.value, texts.language), (texts("incidents.interval", low=_won(found.low, texts), high=_won(found.high, texts)),)


def said(found: Range, texts: Texts) -> str:
    """The value, or both ends where there is none."""
    return spanned(_won(found.low, texts), _won(found.high, texts), texts.language) if found.value is None else _won(found.value, texts)


def _won(amount: float, texts: Texts) -> str:
    return unbroken(won(amount, texts.language))


def _ladder_sentence(ladder: Ladder, texts: Texts) -> str:
    amounts = {name: said(found, texts) for name, found in (("expected", ladder.expected), ("gross", ladder.gross), ("net", ladder.net))}
    ends = {"low": _won(ladder.merchants.low, texts), "high": _won(ladder.merchants.high, texts)}
    gross = ladder.gross
    if gross.value is not None and gained(gross.value):
        told = texts("ladder.sentence_more", expected=amounts["expected"], more=_won(-gross.value, texts), **ends)
    elif ladder.back is None:
        told = texts("ladder.sentence_no_net", **amounts, **ends)
    elif ladder.substitution is None:
        told = texts("ladder.sentence_unknown", **amounts)
    else:
        told = texts("ladder.sentence", **amounts, merchants=said(ladder.merchants, texts))
    return joined(told, chance(gross.low, gross.high, texts, launch=gross.value is None))


def _made_up(shown: IncidentFigures, ladder: Ladder, texts: Texts) -> str:
    if shown.why_no_net is not None or ladder.back is None:
        return texts(f"ladder.made_up_{shown.why_no_net}")
    if ladder.made_up is None or ladder.unseen is None:
        return texts("ladder.made_up_range", share=percent(ladder.back))
    unseen = won(ladder.unseen, texts.language)
    return texts("ladder.made_up_measured", amount=won(ladder.made_up, texts.language), share=percent(ladder.back), unseen=unseen)


def _substitution(shown: IncidentFigures, ladder: Ladder, texts: Texts) -> str:
    if ladder.substitution is None or shown.survey is None:
        return texts("ladder.no_survey")
    share = ladder.substitution
    key = "ladder.survey" if ladder.back is not None else "ladder.survey_waits"
    return texts(key, label=shown.survey["label"], share=percent(share.share, 0), low=percent(share.low, 0), high=percent(share.high, 0))


def _name(found: Method, texts: Texts) -> str:
    return texts("methods.claim", source=found.source) if found.about == "claim" else texts(f"methods.{found.name}")


def _value(found: Method, texts: Texts) -> str:
    if found.value is None:
        only = "methods.range_only" if found.ranged else "methods.interval_only"
        return texts("app.not_available" if found.low is None else only)
    return won(found.value, texts.language)


def _interval(found: Method, texts: Texts) -> str:
    if found.about == "claim":
        return texts("methods.within" if found.within else "methods.outside")
    if found.low is None or found.high is None:
        return MISSING
    ends = spanned(_won(found.low, texts), _won(found.high, texts), texts.language)
    return texts("methods.ranged", ends=ends) if found.ranged else ends


def _claims_sentence(methods: list[Method], texts: Texts) -> str:
    claims = [method for method in methods if method.about == "claim"]
    if not claims:
        return texts("methods.no_claims")
    outside = [method.source for method in claims if not method.within]
    return texts("methods.claims_outside", sources=", ".join(outside)) if outside else texts("methods.claims_within")
