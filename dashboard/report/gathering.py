"""Everything a report says, as figures without words: from one snapshot, and from what the author keeps."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeVar

import polars as pl

from dashboard.figures.ahead import DAYS, AheadFigures, SideBySide, ahead_figures, around
from dashboard.figures.asking import ask
from dashboard.figures.incidents import IncidentFigures, incident_figures, known_incidents
from dashboard.report.author import AuthorFiles
from warehouse.analysis import AnalysisError
from warehouse.inputs import Inputs, inputs_of
from warehouse.losses import refuse_merged
from warehouse.reading import Manifest, NotKnownError, Snapshot

Made = TypeVar("Made")
Stage = Literal["draft", "first", "interim", "final"]
STAGES: tuple[Stage, ...] = ("draft", "first", "interim", "final")
NEWEST = 5
"""Incidents that a refusal names."""

SIZES = (50, 100, 300)
"""Where classes of markets by their number of merchants begin."""


class UnfinishedError(Exception):
    """A final edition was asked for of an incident that goes on (``ended`` is None), or of which not all is counted: ``counted`` is up to when it is."""

    def __init__(self, ended: datetime | None, counted: datetime) -> None:
        """Both aware."""
        super().__init__(f"ended {ended}, counted until {counted}")
        self.ended, self.counted = ended, counted


@dataclass(frozen=True)
class Provenance:
    """What the report was made from. ``inputs`` is the SHA-256 over the manifest, every file that it names (on a lake every table), and the author's files."""

    version: str
    manifest: Manifest
    inputs: str
    made_from: Inputs

    @property
    def as_of(self) -> datetime:
        """The time of the data: up to when they are complete, in a backlog long before the clock of the published state."""
        return self.manifest.watermark or self.manifest.now


@dataclass(frozen=True)
class Report:
    """The figures of one report. Money in KRW; shares of 1; times aware.

    ``regions``, ``channels``, ``markets``, ``sizes``: ``name``, ``expected``, ``observed``, ``lost``, ``low``, ``high``, ``share``
    (of what was expected), by loss; sizes: ``markets`` instead of an interval, by size. Empty without an estimate. ``outcomes``:
    attempts by region and channel, within the incident's scope. ``queue`` is the whole platform's. ``editions``: earlier editions of the report, and of those on incidents that were merged into this one, the oldest first. ``ahead``: demand and capacity of
    the nation's payments as the page has them, None where nothing can be forecast; ``compared``: None where there is nothing to compare.
    """

    stage: Stage
    figures: IncidentFigures
    author: AuthorFiles
    editions: pl.DataFrame
    regions: pl.DataFrame
    channels: pl.DataFrame
    markets: pl.DataFrame
    sizes: pl.DataFrame
    outcomes: pl.DataFrame
    queue: pl.DataFrame
    ahead: AheadFigures | None
    compared: SideBySide | None
    provenance: Provenance


def gather(snapshot: Snapshot, published: Path, incident_id: str, author: AuthorFiles, *, stage: Stage = "draft") -> Report:
    """The figures of a report on ``incident_id``; ``published`` is the snapshot's folder.

    Raises:
        NotKnownError: there is no such incident, or it was merged into another, which the message names.
        UnfinishedError: a final edition would tell provisional figures.
    """
    known = {incident.incident_id: incident for incident in known_incidents(snapshot)}
    if incident_id not in known:
        refuse_merged(snapshot, incident_id)
        raise NotKnownError(f"There is no incident {incident_id!r}. The newest: {', '.join(list(known)[:NEWEST]) or 'none'}. List them with: onnuri incidents")
    figures = incident_figures(snapshot, known[incident_id])
    if stage == "final" and (figures.incident.open or figures.cut):
        raise UnfinishedError(figures.incident.ended_at, figures.end)
    loss = figures.loss
    listed = ask(snapshot, "market_list")
    by_market = loss.by_market.join(listed, on="market_id", how="left").with_columns(name=pl.coalesce("market", "market_id")) if loss else None
    return Report(
        stage=stage,
        figures=figures,
        author=author,
        editions=ask(snapshot, "report_editions", incident_id=incident_id),
        regions=_ranked(loss.by_region.rename({"region": "name"})) if loss else pl.DataFrame(),
        channels=_ranked(loss.by_channel.rename({"channel": "name"})) if loss else pl.DataFrame(),
        markets=_ranked(by_market) if by_market is not None else pl.DataFrame(),
        sizes=_by_size(by_market) if by_market is not None else pl.DataFrame(),
        outcomes=ask(snapshot, "outcomes_by_place", start=figures.start, end=figures.end, scope=figures.incident.scope, scope_name=figures.incident.scope_name),
        queue=ask(snapshot, "queue_by_minute", start=figures.start, end=figures.end),
        ahead=_where_possible(lambda: ahead_figures(snapshot, "payment", DAYS, 0.0)),
        compared=_where_possible(lambda: around(snapshot, figures.incident.onset_at, figures.incident.ended_at)),
        provenance=_provenance(snapshot.manifest, inputs_of(snapshot, published), author),
    )


def _where_possible(make: Callable[[], Made | None]) -> Made | None:
    """None where the data do not suffice for it."""
    try:
        return make()
    except AnalysisError:
        return None


def _ranked(frame: pl.DataFrame) -> pl.DataFrame:
    return _shared(frame.with_columns(pl.col("expected", "observed", "lost", "low", "high").round(0))).sort(
        "lost", "name", descending=[True, False], nulls_last=True
    )


def _by_size(markets: pl.DataFrame) -> pl.DataFrame:
    """Markets by their number of merchants: ``size`` is the class's place, null where the number is unknown."""
    size = pl.sum_horizontal((pl.col("merchants") >= low).cast(pl.Int8) for low in SIZES)
    classed = markets.with_columns(size=pl.when(pl.col("merchants").is_not_null()).then(size))
    summed = classed.group_by("size").agg(pl.len().alias("markets"), pl.col("expected", "observed", "lost").sum().round(0))
    return _shared(summed).sort("size", nulls_last=True)


def _shared(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(share=pl.when(pl.col("expected") > 0).then((pl.col("lost") / pl.col("expected")).round(6)))


def _provenance(manifest: Manifest, made_from: Inputs, author: AuthorFiles) -> Provenance:
    total = hashlib.sha256()
    for name, state in (
        ("warehouse", manifest.warehouse_id),
        ("sequence", str(manifest.sequence)),
        ("now", _text(manifest.now)),
        ("watermark", _text(manifest.watermark)),
    ):
        total.update(f"{name} {state}\n".encode())
    for name, digest in made_from.digests.items():
        total.update(f"{name} {digest}\n".encode())
    for name, content in sorted(author.raw.items()):
        total.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return Provenance(version("onnuri"), manifest, total.hexdigest(), made_from)


def _text(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""
