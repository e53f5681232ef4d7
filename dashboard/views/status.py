"""공개 상태: for buyers and merchants, in plain words: does it work, since when not, what is planned, and how else to pay. No sales, no losses."""

from datetime import datetime
from typing import Any

import polars as pl
import streamlit as st

from dashboard import cards
from dashboard.cards import Tone
from dashboard.formatting import MISSING, moment, unbroken
from dashboard.frame import with_states
from dashboard.settings import DashboardSettings
from dashboard.store_ahead import status_page
from dashboard.texts import Texts
from warehouse.analysis.status import overall

REFRESH_SECONDS = 15
_TONES: dict[str, Tone] = {"down": "danger", "disturbed": "warning", "nationwide": "warning", "maintenance": "muted", "working": "good"}


def page(settings: DashboardSettings, texts: Texts) -> None:
    """The state of the service for everybody."""
    st.html(cards.heading(texts("status.title"), texts("status.note")))
    st.fragment(_refreshing, run_every=REFRESH_SECONDS, key="status")(settings, texts)


def _refreshing(settings: DashboardSettings, texts: Texts) -> None:
    with with_states(texts, settings, public=True):
        shown = status_page(settings.published)
        state = _state(shown.feed)
        known = shown.freshness.present_known
        if known:
            st.html(cards.banner(_TONES[state], texts(f"status.{state}"), texts("status.as_of", time=moment(shown.freshness.watermark, texts.language))))
        else:
            last = shown.freshness.watermark
            detail = texts("status.stale_detail", time=moment(last, texts.language)) if last else texts("status.no_time")
            st.html(cards.banner("warning", texts("status.stale"), detail))
        if state in {"down", "nationwide", "disturbed"}:
            with st.container(border=True, key="status_instead_card"):
                st.html(cards.section(texts("status.instead")))
                st.html(cards.paragraphs([texts("status.instead_paper"), texts("status.instead_card"), texts("status.instead_again")]))
        now = shown.feed.filter(pl.col("status").is_in(["ongoing", "in_progress"]))
        _listed(now, "now", shown.freshness.now, texts, texts("status.no_now" if known else "status.stale"))
        _listed(shown.feed.filter(pl.col("status") == "scheduled"), "planned", shown.freshness.now, texts, texts("status.no_planned"))
        over = shown.feed.filter(pl.col("status").is_in(["resolved", "completed"])).sort("begin", descending=True, maintain_order=True)
        _listed(over, "past", shown.freshness.now, texts, texts("status.no_past"))
        st.html(cards.caption(texts("status.feed", path="/api/v1/status")))


def _state(feed: pl.DataFrame) -> str:
    """As ``overall``; and ``nationwide`` where what disturbs is the whole nation's: that is no part of the service, also where nobody measured that it is down."""
    state = overall(feed)
    everywhere = feed.filter((pl.col("status") == "ongoing") & (pl.col("scope") == "nation"))
    return "nationwide" if state == "disturbed" and len(everywhere) else state


def _listed(rows: pl.DataFrame, part: str, as_of: datetime, texts: Texts, none: str) -> None:
    with st.container(border=True, key=f"status_{part}_card"):
        st.html(cards.section(texts(f"status.{part}")))
        if rows.is_empty():
            st.html(cards.caption(none))
            return
        heads = [texts(f"status.head_{name}") for name in ("what", "state", "where", "begin", "end", "severity")]
        st.html(cards.table(heads, [_row(row, as_of, texts) for row in rows.iter_rows(named=True)], numbers=set(), name=texts(f"status.{part}")))


def _row(row: dict[str, Any], as_of: datetime, texts: Texts) -> list[str]:
    service = texts("status.every_service") if row["service"] == "all" else texts.named("service", row["service"])
    return [
        f"{service} · {texts('status.work')}" if row["scheduled"] else service,
        texts(f"downtime.{row['status']}"),
        _where(row, texts),
        _moment(row["begin"], as_of, texts),
        _moment(row["end"], as_of, texts) if row["end"] else MISSING,
        texts(f"severity.{row['severity']}"),
    ]


def _where(row: dict[str, Any], texts: Texts) -> str:
    if row["scope"] == "issuer":
        return texts("status.some_cards")
    if row["scope"] == "market":
        return texts.named("market", row["market"] or row["market_id"])
    told = row[row["scope"]] if row["scope"] in {"region", "channel"} else None
    return texts.named(row["scope"], told) if told else texts("status.everywhere")


def _moment(at: datetime, as_of: datetime, texts: Texts) -> str:
    """A line breaks before the time at most: the table shall fit a phone."""
    return " ".join(unbroken(part) for part in moment(at, texts.language, as_of).rsplit(" ", 1))
