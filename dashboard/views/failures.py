"""오류: what failed by issuer, code, channel, region and service, and how far people came on the way to a payment."""

import polars as pl
import streamlit as st

from dashboard import bars, cards
from dashboard.cards import Figure
from dashboard.figures.failures import SPANS, Failures, Stage
from dashboard.figures.incidents import Incident
from dashboard.figures.rates import MIN_ATTEMPTS
from dashboard.formatting import count, moment, percent
from dashboard.frame import banners, chart, freshness_line, with_states
from dashboard.link import NOTHING, choice
from dashboard.settings import DashboardSettings
from dashboard.store import failures_page, incident_list
from dashboard.texts import Texts
from dashboard.views.incidents import label_of, scope_of

REFRESH_SECONDS = 5


def page(settings: DashboardSettings, texts: Texts) -> None:
    """Failures of a span, which the link says."""
    st.html(cards.heading(texts("failures.title"), texts("failures.note")))
    listed = None
    with with_states(texts, settings, quiet=True):
        listed = incident_list(settings.published)
    known = {incident.incident_id: incident for incident in listed.incidents} if listed else {}

    def wording(name: str) -> str:
        return texts(f"failures.{name}") if listed is None or name in SPANS else label_of(known[name], listed.manifest.now, texts)

    span = choice(texts("failures.span"), "span", [*SPANS, *known], wording, became=listed.merged if listed else NOTHING)
    st.fragment(_refreshing, run_every=REFRESH_SECONDS, key="failures")(settings, texts, span, known.get(span))


def _refreshing(settings: DashboardSettings, texts: Texts, span: str, incident: Incident | None) -> None:
    with with_states(texts, settings):
        shown = failures_page(settings.published, span, incident)
        freshness_line(shown.freshness, texts)
        banners(shown.freshness, texts)
        found, now = shown.failures, shown.freshness.now
        between = texts("failures.between", start=moment(found.start, texts.language, now), end=moment(found.end, texts.language, now))
        st.html(cards.caption(f"{between} · {scope_of(incident, texts)}" if incident else between))
        if incident and not incident.sales_known:
            st.html(cards.banner("warning", texts("incidents.warning"), texts("failures.whole_nation")))
        if not found.rates.attempts:
            st.html(cards.state(texts("failures.none"), [texts("failures.none_detail")]))
        else:
            _headline(found, texts)
            _issuers(found, texts)
            _places(found, texts)
        # What services report and fail is never told by place. Of an issuer's or a service's incident the notice above says it of all figures.
        part = _of_nation(bool(incident and incident.sales_known and incident.scope != "nation"), texts)
        _funnel(found, part, texts)
        _services(found.services, part, texts)


def _headline(found: Failures, texts: Texts) -> None:
    rates = found.rates
    st.html(
        cards.figures(
            [
                Figure(texts("table.attempts_long"), texts("app.cases", number=count(rates.attempts)), (), "plain", "attempts"),
                Figure(texts("outcome.approved"), percent(rates.approval), (texts("app.cases", number=count(rates.approved)),), "plain", "approval"),
                Figure(texts("outcome.declined"), percent(rates.decline), (texts("app.cases", number=count(rates.declined)),), "plain", "decline"),
                Figure(texts("outcome.failed"), percent(rates.failure), (texts("app.cases", number=count(rates.failed)),), "danger", "failure"),
            ]
        )
    )


def _issuers(found: Failures, texts: Texts) -> None:
    with st.container(border=True, key="issuers_card"):
        st.html(cards.section(texts("failures.issuers"), texts("failures.issuers_note", least=MIN_ATTEMPTS) + _of_nation(found.issuers_of_nation, texts)))
        issuers = _named(found.issuers, "issuer", texts)
        judged = issuers.filter(pl.col("failure_rate").is_not_null()).sort("failure_rate", descending=True)
        sentence = (
            texts("failures.issuers_sentence", name=judged["name"][0], share=percent(judged["failure_rate"][0])) if len(judged) else texts("failures.few")
        )
        chart(bars.outcomes_chart(issuers, texts), "issuers_chart", texts("failures.issuers"), sentence)
        _outcomes(issuers, texts("table.issuer"), texts)


def _places(found: Failures, texts: Texts) -> None:
    left, right = st.columns(2)
    with left:
        with st.container(border=True, key="channels_card"):
            st.html(cards.section(texts("failures.channels")))
            _outcomes(_named(found.channels, "channel", texts), texts("table.channel"), texts)
        with st.container(border=True, key="codes_card", height="stretch"):
            st.html(cards.section(texts("failures.codes"), texts("failures.codes_note") + _of_nation(found.issuers_of_nation, texts)))
            rows = [
                [texts(f"outcome.{row['outcome']}"), texts.named("code", row["code"]), row["code"], count(row["attempts"]), percent(row["share"])]
                for row in found.codes.iter_rows(named=True)
            ]
            heads = [texts(key) for key in ("table.outcome", "table.meaning", "table.code", "table.attempts", "table.share")]
            st.html(cards.table(heads, rows, numbers={3, 4}, name=texts("failures.codes")))
    with right, st.container(border=True, key="regions_card", height="stretch"):
        st.html(cards.section(texts("failures.regions")))
        _outcomes(_named(found.regions, "region", texts), texts("table.region"), texts)


def _of_nation(so: bool, texts: Texts) -> str:  # noqa: FBT001
    """What a note adds where its figures are not known within the incident's scope."""
    return f" {texts('failures.of_nation')}" if so else ""


def _outcomes(frame: pl.DataFrame, head: str, texts: Texts) -> None:
    rows = [
        [row["name"], count(row["attempts"]), percent(row["approval_rate"]), percent(row["decline_rate"]), percent(row["failure_rate"])]
        for row in frame.iter_rows(named=True)
    ]
    heads = [head, *(texts(key) for key in ("table.attempts", "outcome.approved", "outcome.declined", "outcome.failed"))]
    st.html(cards.table(heads, rows, numbers={1, 2, 3, 4}, name=head))


def _named(frame: pl.DataFrame, group: str, texts: Texts) -> pl.DataFrame:
    """Names as people read them: what the platform left out is called so."""
    return frame.with_columns(pl.Series("name", [texts.named(group, name) for name in frame["name"]], pl.String))


def _funnel(found: Failures, part: str, texts: Texts) -> None:
    with st.container(border=True, key="funnel_card"):
        st.html(cards.section(texts("funnel.title"), texts("funnel.note") + part))
        widest = max((stage.attempts or 0 for stage in [*found.funnel, found.registration]), default=0)
        rows = [(texts(f"service.{stage.name}"), _stage(stage, texts), stage.attempts, widest) for stage in [*found.funnel, found.registration]]
        st.html(cards.funnel(rows))


def _stage(stage: Stage, texts: Texts) -> str:
    if stage.attempts is None:
        return texts("funnel.not_available")
    if stage.succeeded is None:
        return texts("funnel.approved", number=count(stage.attempts))
    left = {"failed": count(stage.failed), "abandoned": count(stage.abandoned)}
    return texts("funnel.stage", attempts=count(stage.attempts), succeeded=count(stage.succeeded), share=percent(stage.passed), **left)


def _services(services: pl.DataFrame, part: str, texts: Texts) -> None:
    with st.container(border=True, key="services_card"):
        st.html(cards.section(texts("failures.services"), texts("failures.services_note") + part))
        if services.is_empty():
            st.html(cards.caption(texts("failures.no_errors")))
            return
        rows = [
            [texts.named("service", row["service"]), texts.named("code", row["code"]), row["code"], count(row["errors"])]
            for row in services.iter_rows(named=True)
        ]
        st.html(
            cards.table(
                [texts(key) for key in ("table.service", "table.meaning", "table.code", "table.errors")], rows, numbers={3}, name=texts("failures.services")
            )
        )
