"""The part of an incident's page about who was hit hardest: regions, markets, merchants, and on how few the loss fell."""

import polars as pl
import streamlit as st

from dashboard import cards, charts
from dashboard.figures.incidents import IncidentFigures
from dashboard.formatting import count, percent, won
from dashboard.frame import chart
from dashboard.remarks import all_channels, hardest_sentence, joined
from dashboard.texts import Texts

MERCHANTS = 10


def hit(shown: IncidentFigures, texts: Texts) -> None:
    """Regions and markets side by side, then merchants."""
    for column, frame, name in zip(st.columns(2), (shown.regions, shown.markets), ("regions", "markets"), strict=True):
        if not frame.is_empty():
            with column, st.container(border=True, key=f"hardest_{name}_card", height="stretch"):
                _places(frame, name, f" {texts('incidents.holds_as_before')}" if shown.launch else "", texts)
    with st.container(border=True, key="concentration_card"):
        st.html(cards.section(texts("hardest.merchants"), joined(texts("hardest.merchants_note"), all_channels(shown.incident, texts))))
        found = shown.concentration
        if found is not None:
            facts = {"hit": count(found.hit), "half": count(found.half), "largest": percent(found.largest, 0)}
            st.html(cards.caption(texts("hardest.concentration", **facts)))
        _merchants(shown.merchants, texts)


def _places(frame: pl.DataFrame, name: str, note: str, texts: Texts) -> None:
    st.html(cards.section(texts(f"incidents.{name}"), texts("incidents.hardest_note") + note))
    sentence = hardest_sentence(frame["name"][0], frame["lost"][0], texts)
    chart(charts.hardest_chart(frame, texts), f"hardest_{name}", texts(f"incidents.{name}"), sentence)
    rows = [
        [row["name"], *(won(row[figure], texts.language) for figure in ("lost", "expected", "observed")), percent(row["share"], 0)]
        for row in frame.iter_rows(named=True)
    ]
    heads = [texts(key) for key in ("table.name", "table.lost", "table.expected", "table.observed", "table.lost_share")]
    st.html(cards.table(heads, rows, numbers={1, 2, 3, 4}, name=texts(f"incidents.{name}")))


def _merchants(merchants: pl.DataFrame, texts: Texts) -> None:
    if merchants.is_empty():
        st.html(cards.caption(texts("hardest.no_merchants")))
        return
    rows = [
        [
            row["merchant_id"],
            row["market"],
            row["region"] or "",
            count(row["failed"]),
            won(row["failed_amount"], texts.language),
            won(row["sales"], texts.language),
        ]
        for row in merchants.head(MERCHANTS).iter_rows(named=True)
    ]
    heads = [texts(key) for key in ("table.merchant", "table.market", "table.region", "table.failed", "table.failed_amount", "table.sales_days")]
    st.html(cards.table(heads, rows, numbers={3, 4, 5}, name=texts("hardest.merchants")))
