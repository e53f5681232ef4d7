"""What the pages on what is ahead show, for all viewers together: forecasts are made once an hour of the data's time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import streamlit as st

from dashboard.figures.ahead import AheadFigures, Options, ahead_figures, options_of
from dashboard.figures.freshness import Freshness, freshness_of
from dashboard.store import newest_manifest, readable, shaping
from warehouse.ahead import Ahead, ahead, notices_today, public_feed
from warehouse.analysis.comparison import Comparison
from warehouse.analysis.early_warning import Notice
from warehouse.comparing import compared
from warehouse.reading import Manifest, open_snapshot


@dataclass(frozen=True)
class AheadPage:
    """Figures with the freshness of the newest state; they may be an hour older."""

    freshness: Freshness
    figures: AheadFigures


@dataclass(frozen=True)
class ComparePage:
    """What can be compared."""

    freshness: Freshness
    options: Options


@dataclass(frozen=True)
class StatusPage:
    """Downtimes for everybody."""

    freshness: Freshness
    feed: pl.DataFrame


def ahead_page(published: Path, service: str, days: int, tested: float) -> AheadPage:
    """Demand, capacity and headroom of the service; ``tested`` requests a minute by a load test, 0: none. Raises as ``store.live_page``, and AnalysisError."""
    manifest = newest_manifest(published)
    with readable(published):
        return AheadPage(
            freshness_of(manifest, datetime.now(UTC)), _ahead(str(published), manifest.warehouse_id, _hour(published, manifest), service, days, tested)
        )


def notices_page(published: Path, service: str, proven: float) -> list[Notice]:
    """Today's warnings against a proven capacity, made anew at most once a minute. Raises as ``store.live_page``, and AnalysisError."""
    manifest = newest_manifest(published)
    with readable(published):
        return _notices(str(published), manifest.warehouse_id, f"{manifest.watermark:%Y%m%d%H%M}" if manifest.watermark else "", service, proven)


def compare_page(published: Path) -> ComparePage:
    """The spans that there are. Raises as ``store.live_page``."""
    manifest = newest_manifest(published)
    with readable(published):
        return ComparePage(freshness_of(manifest, datetime.now(UTC)), _options(str(published), manifest.warehouse_id, _hour(published, manifest)))


def comparison(published: Path, shown: ComparePage, first: str, second: str, *, losses: bool) -> Comparison:
    """Two of the spans, by their names. Raises as ``store.live_page``, and AnalysisError."""
    manifest = newest_manifest(published)
    with readable(published):
        spans = (first, *shown.options.spans[first]), (second, *shown.options.spans[second])
        return _compared(str(published), manifest.warehouse_id, shaping(published, manifest), *spans, losses)


def status_page(published: Path) -> StatusPage:
    """The newest feed. Raises as ``store.live_page``."""
    manifest = newest_manifest(published)
    with readable(published):
        return StatusPage(freshness_of(manifest, datetime.now(UTC)), _feed(str(published), manifest.warehouse_id, manifest.sequence))


def _hour(published: Path, manifest: Manifest) -> tuple[Any, ...]:
    """The hour of the data's time; and what a person wants to see at once: what was said, and incidents."""
    return (f"{manifest.watermark:%Y%m%d%H}" if manifest.watermark else "", *shaping(published, manifest))


# As in dashboard.store: the arguments are what an answer is known by.


@st.cache_data(max_entries=16, ttl="60m", show_spinner=False)
def _ahead(published: str, warehouse_id: str, hour: tuple[Any, ...], service: str, days: int, tested: float) -> AheadFigures:
    known = _demand(published, warehouse_id, hour, days)
    with open_snapshot(Path(published)) as snapshot:
        return ahead_figures(snapshot, service, days, tested, known)


@st.cache_data(max_entries=4, ttl="60m", show_spinner=False)
def _demand(published: str, warehouse_id: str, hour: tuple[Any, ...], days: int) -> Ahead:  # noqa: ARG001
    """Demand is the same whatever service is looked at and whatever a slider says of its capacity."""
    with open_snapshot(Path(published)) as snapshot:
        return ahead(snapshot, days=days)


@st.cache_data(max_entries=8, ttl=60, show_spinner=False)
def _notices(published: str, warehouse_id: str, minute: str, service: str, proven: float) -> list[Notice]:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return notices_today(snapshot, proven, service)


@st.cache_data(max_entries=4, ttl="60m", show_spinner=False)
def _options(published: str, warehouse_id: str, hour: tuple[Any, ...]) -> Options:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return options_of(snapshot)


@st.cache_data(max_entries=8, ttl="60m", show_spinner=False)
def _compared(
    published: str,
    warehouse_id: str,  # noqa: ARG001
    shaped: tuple[Any, ...],  # noqa: ARG001
    first: tuple[str, datetime, datetime],
    second: tuple[str, datetime, datetime],
    losses: bool,  # noqa: FBT001
) -> Comparison:
    with open_snapshot(Path(published)) as snapshot:
        return compared(snapshot, first, second, losses=losses)


@st.cache_data(max_entries=4, ttl=60, show_spinner=False)
def _feed(published: str, warehouse_id: str, sequence: int) -> pl.DataFrame:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return public_feed(snapshot)
