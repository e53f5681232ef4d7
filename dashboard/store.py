"""What pages have been given already: every published state is worked out once, for all viewers together."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import duckdb
import polars as pl
import streamlit as st

from dashboard import saying
from dashboard.figures.asking import ask
from dashboard.figures.expected import day_level, expected_day, known_until
from dashboard.figures.failures import Failures, failures_in, span_of
from dashboard.figures.freshness import Freshness, freshness_of
from dashboard.figures.incidents import Incident, IncidentFigures, incident_figures, known_incidents, window_of
from dashboard.figures.live import Live, day_start_of, incidents_of_the_day, live_figures
from dashboard.figures.markets import MarketFigures, market_figures
from dashboard.figures.said import Said, said_so_far
from dashboard.figures.tables import Table, published_tables
from dashboard.settings import DashboardSettings
from warehouse.analysis import LossEstimate
from warehouse.connection import shut
from warehouse.lake_errors import away
from warehouse.losses import merged
from warehouse.names import KINDS, known_names
from warehouse.reading import Manifest, ManifestError, Snapshot, open_snapshot

Made = TypeVar("Made")
Drawn = TypeVar("Drawn")

SAID = ("market", "promotion", "exclusion", "maintenance", "claim", "survey", "operator_period")
"""Tables of what people say: what changes there changes the figures of a time that is over."""


class UnreadableError(Exception):
    """The published state cannot be read just now; the next one may be."""


@dataclass(frozen=True)
class LivePage(Generic[Drawn]):
    """What the live page shows, ready to be sent, with the freshness of its manifest."""

    freshness: Freshness
    drawn: Drawn


@dataclass(frozen=True)
class IncidentList:
    """Every incident with the freshness of the manifest that names them. ``merged``: those that are part of another, each with that one."""

    freshness: Freshness
    manifest: Manifest
    incidents: list[Incident]
    merged: Mapping[str, str]


def live_page(published: Path, language: str, draw: Callable[[Live], Drawn]) -> LivePage[Drawn]:
    """The newest live figures, drawn once for all who read that language.

    Raises:
        NothingPublishedError: there is no manifest yet.
        UnreadableError: the manifest or a file that it names cannot be read.
    """
    manifest = newest_manifest(published)
    folder = (str(published), manifest.warehouse_id)
    with readable(published):
        shown, live = _newest(*folder, "figures").of(manifest, lambda: _live(published, manifest.warehouse_id))
    shown, drawn = _newest(*folder, language).of(shown, lambda: draw(live))
    return LivePage(freshness_of(shown, datetime.now(UTC)), drawn)


def incident_list(published: Path) -> IncidentList:
    """The newest list of incidents. Raises as ``live_page``."""
    manifest = newest_manifest(published)
    with readable(published):
        incidents, parts = _incidents(str(published), manifest.warehouse_id, manifest.sequence)
    return IncidentList(freshness_of(manifest, datetime.now(UTC)), manifest, incidents, parts)


def incident_page(published: Path, listed: IncidentList, incident: Incident) -> IncidentFigures:
    """The figures of one incident. Raises as ``live_page``.

    While it is open they are made anew in the background every ten seconds at the most, however fast its window grows; the page
    says until when they are.
    """
    key = (str(published), listed.manifest.warehouse_id)
    with readable(published):
        if incident.open:
            return _open_incident(*key, incident.incident_id, _incident=incident)
        return _ended_incident(*key, incident, window_of(incident, listed.manifest.watermark), shaping(published, listed.manifest))


def shaping(published: Path, manifest: Manifest) -> tuple[Any, ...]:
    """What figures of a time that is over depend on, beside what was counted: what people said; and which incidents there are, where, and from when to when."""
    incidents, parts = _incidents(str(published), manifest.warehouse_id, manifest.sequence)
    said = (file for table in SAID for file in manifest.files.get(table, ()))
    return (*said, *((one.incident_id, one.onset_at, one.ended_at, one.scope, one.scope_name) for one in incidents), *parts.items())


@dataclass(frozen=True)
class MarketList:
    """Every known market, a row of ``market_list`` each, with the freshness of the manifest that names them."""

    freshness: Freshness
    manifest: Manifest
    markets: pl.DataFrame


@dataclass(frozen=True)
class FailuresPage:
    """What failed where, with the freshness of its manifest."""

    freshness: Freshness
    failures: Failures


def market_list(published: Path) -> MarketList:
    """The newest list of markets. Raises as ``live_page``."""
    manifest = newest_manifest(published)
    with readable(published):
        markets = _markets(str(published), manifest.warehouse_id, tuple(manifest.files.get("market", ())))
    return MarketList(freshness_of(manifest, datetime.now(UTC)), manifest, markets)


def names_by_kind(published: Path) -> Mapping[str, Mapping[str, str]]:
    """The known names of every kind, as ``known_names`` gives them; made anew every ten minutes, and where the list of markets changed. Raises as ``live_page``."""
    manifest = newest_manifest(published)
    with readable(published):
        return _names(str(published), manifest.warehouse_id, tuple(manifest.files.get("market", ())))


def said_page(published: Path) -> list[Said]:
    """What people said that is kept, as the newest state has it. Raises as ``live_page``."""
    with readable(published), open_snapshot(published) as snapshot:
        return said_so_far(snapshot)


def market_page(published: Path, listed: MarketList, market: dict[str, Any], day_start: datetime) -> MarketFigures:
    """One market on one day; the current day is made anew every ten seconds at the most. Raises as ``live_page``."""
    key = (str(published), listed.manifest.warehouse_id, market["market_id"], day_start)
    with readable(published):
        return _market(*key, _market_row=market)


def failures_page(published: Path, span: str, incident: Incident | None) -> FailuresPage:
    """What failed in the span of that name (``figures.failures.SPANS``), or during the incident and within its scope. Raises as ``live_page``."""
    manifest = newest_manifest(published)
    with readable(published):
        failures = _failures(str(published), manifest.warehouse_id, manifest.sequence, span, incident.incident_id if incident else "", _incident=incident)
    return FailuresPage(freshness_of(manifest, datetime.now(UTC)), failures)


def table_list(published: Path) -> tuple[Freshness, list[Table]]:
    """The newest published tables. Raises as ``live_page``."""
    manifest = newest_manifest(published)
    with readable(published):
        tables = _tables(str(published), manifest.warehouse_id)
    return freshness_of(manifest, datetime.now(UTC)), tables


@st.cache_data(max_entries=4, ttl=10, show_spinner=False)
def kafka_is_there(brokers: str) -> bool:
    """Whether a broker listens; asked once in ten seconds for all viewers."""
    return saying.reachable(DashboardSettings(Path(), "ko", brokers))


class readable:  # noqa: N801 - reads as a word after with
    """Turns failures of reading into UnreadableError."""

    def __init__(self, published: Path) -> None:
        self.published = published

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # A file may go between reading the manifest and opening it, when a reader was held up for long.
        if isinstance(error, duckdb.Error) and away(error):
            raise UnreadableError("The lake's catalog does not answer.") from error
        if isinstance(error, (OSError, duckdb.IOException, duckdb.InvalidInputException)):
            raise UnreadableError(f"A file that {self.published / 'manifest.json'} names cannot be read: {error}") from error


def newest_manifest(published: Path) -> Manifest:
    """The newest manifest.

    Raises:
        NothingPublishedError: there is none yet.
        UnreadableError: it cannot be read.
    """
    try:
        return Manifest.read(published)
    except ManifestError as error:
        raise UnreadableError(str(error)) from error
    except OSError as error:
        raise UnreadableError(shut(error)) from error


# The arguments below are what a cached answer is known by; those that Streamlit shall not look at begin with an underscore.


class _Newest(Generic[Made]):
    """What was made of the newest state. One viewer at a time makes the next; the others see the one before it meanwhile.

    If each waited for the newest, ten viewers on a slow machine would wait for ten states in turn.
    """

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.known: tuple[Manifest, Made] | None = None

    def of(self, manifest: Manifest, make: Callable[[], Made]) -> tuple[Manifest, Made]:
        known = self.known
        if known is not None and known[0].sequence == manifest.sequence:
            return known
        if not self.turn.acquire(blocking=known is None) and known is not None:
            return known
        try:
            # The one who had the turn before may have brought it already.
            if self.known is None or self.known[0].sequence != manifest.sequence:
                self.known = (manifest, make())
            return self.known
        finally:
            self.turn.release()


@st.cache_resource(max_entries=8, show_spinner=False)
def _newest(published: str, warehouse_id: str, what: str) -> _Newest[Any]:  # noqa: ARG001
    return _Newest()


def _live(published: Path, warehouse_id: str) -> Live:
    with open_snapshot(published) as snapshot:
        start = day_start_of(snapshot.manifest)
        as_of = known_until(incidents_of_the_day(snapshot, start), start)
        return live_figures(snapshot, _band(str(published), warehouse_id, start, as_of, _snapshot=snapshot))


@st.cache_data(max_entries=8, ttl="10m", show_spinner=False)
def _level(published: str, warehouse_id: str, day_start: datetime, as_of: datetime, *, _snapshot: Snapshot) -> LossEstimate | None:  # noqa: ARG001
    return day_level(_snapshot, day_start, as_of)


@st.cache_data(max_entries=8, ttl="10m", show_spinner=False)
def _band(published: str, warehouse_id: str, day_start: datetime, as_of: datetime, *, _snapshot: Snapshot) -> pl.DataFrame:
    return expected_day(_snapshot, day_start, as_of, _level(published, warehouse_id, day_start, as_of, _snapshot=_snapshot))


@st.cache_data(max_entries=8, show_spinner=False)
def _incidents(published: str, warehouse_id: str, sequence: int) -> tuple[list[Incident], dict[str, str]]:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return known_incidents(snapshot), merged(snapshot)


@st.cache_data(max_entries=16, ttl=10, refresh_mode="background", show_spinner=False)
def _open_incident(published: str, warehouse_id: str, incident_id: str, *, _incident: Incident) -> IncidentFigures:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return incident_figures(snapshot, _incident)


@st.cache_data(max_entries=16, ttl="10m", show_spinner=False)
def _ended_incident(
    published: str,
    warehouse_id: str,  # noqa: ARG001
    incident: Incident,
    window: tuple[datetime, datetime],  # noqa: ARG001
    shaped: tuple[Any, ...],  # noqa: ARG001
) -> IncidentFigures:
    with open_snapshot(Path(published)) as snapshot:
        return incident_figures(snapshot, incident)


@st.cache_data(max_entries=4, show_spinner=False)
def _markets(published: str, warehouse_id: str, files: tuple[str, ...]) -> pl.DataFrame:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return ask(snapshot, "market_list")


@st.cache_data(max_entries=4, ttl="10m", show_spinner=False)
def _names(published: str, warehouse_id: str, files: tuple[str, ...]) -> dict[str, dict[str, str]]:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return {kind: known_names(snapshot, kind) for kind in KINDS}


@st.cache_data(max_entries=64, ttl=10, refresh_mode="background", show_spinner=False)
def _market(published: str, warehouse_id: str, market_id: str, day_start: datetime, *, _market_row: dict[str, Any]) -> MarketFigures:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        # The same level for all markets, and for the live page.
        return market_figures(snapshot, _market_row, day_start, lambda s, day, as_of: _level(published, warehouse_id, day, as_of, _snapshot=s))


@st.cache_data(max_entries=16, ttl="10m", show_spinner=False)
def _failures(published: str, warehouse_id: str, sequence: int, span: str, incident_id: str, *, _incident: Incident | None) -> Failures:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        if _incident is None:
            return failures_in(snapshot, *span_of(span, snapshot.manifest))
        until = _incident.ended_at or snapshot.manifest.now
        return failures_in(snapshot, _incident.onset_at, until, scope=_incident.scope, scope_name=_incident.scope_name)


@st.cache_data(max_entries=4, ttl=60, show_spinner=False)
def _tables(published: str, warehouse_id: str) -> list[Table]:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return published_tables(snapshot)
