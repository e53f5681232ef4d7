"""What pages have been given already: every published state is worked out once, for all viewers together."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import streamlit as st

from dashboard.figures.expected import expected_day, known_until
from dashboard.figures.freshness import Freshness, freshness_of
from dashboard.figures.incidents import Incident, IncidentFigures, incident_figures, known_incidents, window_of
from dashboard.figures.live import Live, day_start_of, incidents_of_the_day, live_figures
from warehouse.reading import Manifest, Snapshot, open_snapshot


class UnreadableError(Exception):
    """The published state cannot be read just now; the next one may be."""


@dataclass(frozen=True)
class LivePage:
    """The live page's figures with the freshness of their manifest."""

    freshness: Freshness
    live: Live


@dataclass(frozen=True)
class IncidentList:
    """Every incident with the freshness of the manifest that names them."""

    freshness: Freshness
    manifest: Manifest
    incidents: list[Incident]


def live_page(published: Path) -> LivePage:
    """The newest live figures.

    Raises:
        NothingPublishedError: there is no manifest yet.
        UnreadableError: the manifest or a file that it names cannot be read.
    """
    manifest = _manifest(published)
    with _readable(published):
        live = _live(str(published), manifest.warehouse_id, manifest.sequence)
    return LivePage(freshness_of(manifest, datetime.now(UTC)), live)


def incident_list(published: Path) -> IncidentList:
    """The newest list of incidents. Raises as ``live_page``."""
    manifest = _manifest(published)
    with _readable(published):
        incidents = _incidents(str(published), manifest.warehouse_id, manifest.sequence)
    return IncidentList(freshness_of(manifest, datetime.now(UTC)), manifest, incidents)


def incident_page(published: Path, listed: IncidentList, incident: Incident) -> IncidentFigures:
    """The figures of one incident. Raises as ``live_page``.

    While it is open they are made anew in the background every ten seconds at the most, however fast its window grows; the page
    says until when they are.
    """
    key = (str(published), listed.manifest.warehouse_id, incident.incident_id)
    with _readable(published):
        if incident.open:
            return _open_incident(*key, _incident=incident)
        return _ended_incident(*key, window_of(incident, listed.manifest.watermark), _incident=incident)


class _readable:  # noqa: N801 - reads as a word after with
    """Turns failures of reading into UnreadableError."""

    def __init__(self, published: Path) -> None:
        self.published = published

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        # A file may go between reading the manifest and opening it, when a reader was held up for long.
        if isinstance(error, (OSError, duckdb.IOException, duckdb.InvalidInputException)):
            raise UnreadableError(f"A file that {self.published / 'manifest.json'} names cannot be read: {error}") from error


def _manifest(published: Path) -> Manifest:
    try:
        return Manifest.read(published)
    except (OSError, ValueError, KeyError) as error:
        raise UnreadableError(f"{published / 'manifest.json'} is not a manifest of this version: {error!r}") from error


# The arguments below are what a cached answer is known by; those that Streamlit shall not look at begin with an underscore.


@st.cache_data(max_entries=8, show_spinner=False)
def _live(published: str, warehouse_id: str, sequence: int) -> Live:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        start = day_start_of(snapshot.manifest)
        as_of = known_until(incidents_of_the_day(snapshot), start)
        return live_figures(snapshot, _band(published, warehouse_id, start, as_of, _snapshot=snapshot))


@st.cache_data(max_entries=8, ttl="10m", show_spinner=False)
def _band(published: str, warehouse_id: str, day_start: datetime, as_of: datetime, *, _snapshot: Snapshot) -> pl.DataFrame:  # noqa: ARG001
    return expected_day(_snapshot, day_start, as_of)


@st.cache_data(max_entries=8, show_spinner=False)
def _incidents(published: str, warehouse_id: str, sequence: int) -> list[Incident]:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return known_incidents(snapshot)


@st.cache_data(max_entries=16, ttl=10, refresh_mode="background", show_spinner=False)
def _open_incident(published: str, warehouse_id: str, incident_id: str, *, _incident: Incident) -> IncidentFigures:  # noqa: ARG001
    with open_snapshot(Path(published)) as snapshot:
        return incident_figures(snapshot, _incident)


@st.cache_data(max_entries=16, ttl="10m", show_spinner=False)
def _ended_incident(
    published: str,
    warehouse_id: str,  # noqa: ARG001
    incident_id: str,  # noqa: ARG001
    window: tuple[datetime, datetime],  # noqa: ARG001
    *,
    _incident: Incident,
) -> IncidentFigures:
    with open_snapshot(Path(published)) as snapshot:
        return incident_figures(snapshot, _incident)
