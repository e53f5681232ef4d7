"""운영 비교: two operators, or two spans, side by side: like for like, with intervals and with what cannot be compared."""

from typing import Any

import streamlit as st

from dashboard import cards
from dashboard.ahead_words import differing, with_interval
from dashboard.formatting import moment, percent, spanned
from dashboard.frame import banners, freshness_line, with_states
from dashboard.link import choice, switch
from dashboard.settings import DashboardSettings
from dashboard.store_ahead import ComparePage, compare_page, comparison
from dashboard.texts import Texts
from dashboard.views import saying
from warehouse.analysis import AnalysisError
from warehouse.comparing import MOST_WINDOWS


def page(settings: DashboardSettings, texts: Texts) -> None:
    """Two spans, which the link names; and a form to say who ran the platform."""
    st.html(cards.heading(texts("compare.title"), texts("compare.note")))
    with with_states(texts, settings):
        _compared(settings, texts)
    st.fragment(saying.forms, key="saying")(settings, texts, kinds=("operator_period", "withdrawn"))


def _compared(settings: DashboardSettings, texts: Texts) -> None:
    try:
        shown = compare_page(settings.published)
    except AnalysisError:
        st.html(cards.state(texts("ahead.none"), [texts("ahead.none_detail")]))
        return
    freshness_line(shown.freshness, texts)
    banners(shown.freshness, texts)
    first, second, losses = _chosen(shown, texts)
    if first == second:
        st.html(cards.banner("muted", texts("compare.same"), texts("compare.same_detail")))
        return
    try:
        with st.spinner(texts("compare.working")):
            found = comparison(settings.published, shown, first, second, losses=losses)
    except AnalysisError:
        st.html(cards.banner("warning", texts("compare.overlap"), texts("compare.overlap_detail")))
        return
    with st.container(border=True, key="compare_card"):
        st.html(cards.section(texts("compare.table"), texts("compare.table_note")))
        rows = [_row(row, texts) for row in found.table.iter_rows(named=True)]
        heads = [texts("compare.measure"), _label(first, texts), _label(second, texts), texts("compare.difference")]
        st.html(cards.table(heads, rows, numbers={1, 2, 3}, name=texts("compare.table")))
        covered = {"first": percent(found.covered[0], 0), "second": percent(found.covered[1], 0)}
        st.html(cards.caption(texts("compare.covered", **covered)))
        for name, launched in zip(("first", "second"), found.on_launch, strict=True):
            if launched:
                st.html(cards.caption(texts(f"compare.on_launch_{name}")))
        if any(found.left_out):
            st.html(cards.caption(texts("compare.left_out", most=MOST_WINDOWS, first=found.left_out[0], second=found.left_out[1])))
    with st.container(border=True, key="compare_method_card"):
        st.html(cards.section(texts("compare.method_title")))
        st.html(cards.paragraphs([texts("compare.method"), texts("compare.method_alike"), texts("compare.gate")]))


def _chosen(shown: ComparePage, texts: Texts) -> tuple[str, str, bool]:
    names = list(shown.options.spans)
    operators = shown.options.operators
    first = operators[-2] if len(operators) > 1 else "before"
    second = operators[-1] if len(operators) > 1 else "recent"
    columns = st.columns(3)
    chosen = []
    for column, key, default in zip(columns, ("first", "second"), (first, second), strict=False):
        with column:
            order = [default, *(name for name in names if name != default)]
            chosen.append(choice(texts(f"compare.{key}"), key, order, lambda name: _label(name, texts)))
            start, end = shown.options.spans[chosen[-1]]
            st.html(cards.caption(spanned(moment(start, texts.language), moment(end, texts.language), texts.language)))
    with columns[2]:
        losses = switch(texts("compare.costs"), "costs", ("without", "with"), lambda name: texts(f"compare.{name}"))
    return chosen[0], chosen[1], losses == "with"


def _label(name: str, texts: Texts) -> str:
    return texts(f"compare.{name}") if name in ("recent", "before") else name


def _row(row: dict[str, Any], texts: Texts) -> list[str]:
    unit = row["unit"]
    return [
        texts(f"measure.{row['measure']}"),
        with_interval(unit, row["first"], row["first_low"], row["first_high"], texts),
        with_interval(unit, row["second"], row["second_low"], row["second_high"], texts),
        differing(row, texts),
    ]
