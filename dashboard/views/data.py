"""자료: the published tables with a dictionary, a box for SQL, files to take away, and how the figures are made."""

from datetime import datetime
from functools import partial
from pathlib import Path

import streamlit as st

from dashboard import access, audit, cards
from dashboard.figures.tables import Table, first_statement
from dashboard.files import TYPES, written
from dashboard.formatting import count, moment
from dashboard.frame import banners, freshness_line, with_states
from dashboard.link import choice, keep, linked, switch
from dashboard.settings import DashboardSettings
from dashboard.store import table_list
from dashboard.texts import Texts
from warehouse.questions import Answer, QuestionError, answered
from warehouse.reading import ManifestError
from warehouse.spreadsheets import neutralised

PARTS = ("tables", "sql", "method")
AUDITED = 200
"""Lines of the audit log that are shown; the file has all."""

ROWS = 10_000
SHOWN = 1_000
SECONDS = 10.0
LONGEST = 4_000
_DOCUMENTS = Path(__file__).parents[2] / "docs"


def page(settings: DashboardSettings, texts: Texts) -> None:
    """One of three parts, which the link says."""
    st.html(cards.heading(texts("data.title"), texts("data.note")))
    # Where people sign in, who looked at what is for analysts.
    parts = (*PARTS, "audit") if settings.audit_log and access.configured() and access.may_say(settings) else PARTS
    part = switch(texts("data.part"), "part", parts, lambda name: texts(f"data.{name}"))
    if part == "method":
        _method(texts)
        return
    if part == "audit":
        _audit(settings, texts)
        return
    with with_states(texts, settings):
        freshness, tables = table_list(settings.published)
        freshness_line(freshness, texts)
        banners(freshness, texts)
        if part == "tables":
            _tables(tables, texts)
        else:
            _sql(settings, texts)


def _tables(tables: list[Table], texts: Texts) -> None:
    known = {table.name: table for table in tables}
    chosen = known[choice(texts("data.table"), "table", list(known), lambda name: f"{name} — {texts.named('dictionary', name)}")]
    with st.container(border=True, key="table_card"):
        st.html(cards.section(chosen.name, texts("data.table_note", meaning=texts.named("dictionary", chosen.name), rows=count(chosen.rows))))
        rows = [[name, kind, texts.named("column", name)] for name, kind in chosen.columns.iter_rows()]
        st.html(cards.table([texts(key) for key in ("table.column", "table.type", "table.meaning")], rows, numbers=set(), name=chosen.name))
        st.button(texts("data.ask", table=chosen.name), on_click=_ask, args=(chosen.name,))
    with st.container(border=True, key="tables_card"):
        st.html(cards.section(texts("data.every", number=count(len(tables))), texts("data.every_note")))
        every = [[table.name, texts.named("dictionary", table.name), count(table.rows)] for table in tables]
        st.html(
            cards.table(
                [texts(key) for key in ("table.table", "table.meaning", "table.rows")], every, numbers={2}, name=texts("data.every", number=count(len(tables)))
            )
        )


def _ask(table: str) -> None:
    st.session_state.update(part="sql", sql=first_statement(table))


def _sql(settings: DashboardSettings, texts: Texts) -> None:
    linked("sql", lambda text: text[:LONGEST] or None, texts("data.example"))
    with st.form("sql_form"):
        asked = st.text_area(texts("data.statement"), key="sql", height=150, max_chars=LONGEST, help=texts("data.times"))
        st.html(cards.caption(texts("data.limits", seconds=f"{SECONDS:g}", rows=count(ROWS))))
        run = st.form_submit_button(texts("data.run"), type="primary")
    text = (asked or "").strip()
    in_link = st.query_params.get("sql") is not None
    keep("sql", text, texts("data.example"))
    if run or in_link:
        _answer(settings, text, texts, anew=run)


def _answer(settings: DashboardSettings, text: str, texts: Texts, *, anew: bool) -> None:
    known = st.session_state.get("answer")
    if anew or known is None or known[0] != text:
        audit.keep(settings, "asked", {"sql": text})
        try:
            with st.spinner(texts("data.running")):
                answer: Answer | str = answered(settings.published, text, rows=ROWS, seconds=SECONDS)
        except (QuestionError, ManifestError) as error:
            answer = str(error)
        known = st.session_state["answer"] = (text, answer)
    answer = known[1]
    if isinstance(answer, str):
        st.html(cards.banner("warning", texts("data.refused"), answer))
        return
    if answer.cut:
        st.html(cards.banner("warning", texts("data.cut"), texts("data.cut_detail", rows=count(ROWS))))
    st.html(cards.section(texts("data.answer", rows=count(len(answer.frame)), columns=count(answer.frame.width))))
    numbers = {name: st.column_config.NumberColumn(format="localized") for name, kind in answer.frame.schema.items() if kind.is_numeric()}
    # Its toolbar offers the table as CSV.
    st.dataframe(neutralised(answer.frame.head(SHOWN)), key="answer_table", hide_index=True, alt=texts("data.answer_alt"), column_config=numbers)
    if len(answer.frame) > SHOWN:
        st.html(cards.caption(texts("data.shown", rows=count(SHOWN))))
    with st.container(horizontal=True):
        for form, kind in TYPES.items():
            st.download_button(
                texts("data.download", form=form.upper()),
                audit.taken(settings, {"form": form, "rows": len(answer.frame), "sql": text}, partial(written, answer.frame, form)),
                f"onnuri.{form}",
                kind,
                key=f"download_{form}",
                on_click="ignore",
            )


def _audit(settings: DashboardSettings, texts: Texts) -> None:
    with st.container(border=True, key="audit_card"):
        st.html(cards.section(texts("data.audit"), texts("data.audit_note", number=count(AUDITED), file=settings.audit_log)))
        entries, unreadable = audit.newest(settings, AUDITED)
        if unreadable:
            st.html(cards.banner("warning", texts("data.audit_cut", number=count(unreadable)), texts("data.audit_cut_why")))
        rows = [
            [
                moment(datetime.fromisoformat(entry.pop("at")), texts.language),
                entry.pop("who") or texts("app.unknown"),
                texts(f"audit.{entry.pop('did')}"),
                " · ".join(f"{name}={value}" for name, value in entry.items()),
            ]
            for entry in entries
        ]
        st.html(cards.table([texts(key) for key in ("table.when", "table.who", "table.did", "table.what")], rows, numbers=set(), name=texts("data.audit")))


def _method(texts: Texts) -> None:
    st.html(cards.paragraphs([texts("method.short"), texts("method.interval"), texts("method.limits"), texts("method.document")]))
    for name in ("method", "accuracy"):
        file = _DOCUMENTS / f"{name}.md"
        if file.is_file():
            with st.container(border=True, key=f"document_{name}"):
                st.markdown(file.read_text(encoding="utf-8"))
