"""What readers open: one manifest of published Parquet files, as views in a DuckDB of their own.

A snapshot never changes under its reader: files are immutable, and a new state is a new manifest. It works while the worker
writes, and while there is no worker at all.
"""

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import duckdb
import polars as pl

from warehouse.connection import frame, open_shared, query_text, view_text
from warehouse.ingest import SMALL_TABLES
from warehouse.lake import Lake
from warehouse.lake_reading import LakeState, attached, manifest_of, newest
from warehouse.lake_reading import NothingPublishedError as NothingPublishedError  # noqa: PLC0414  # readers know it from here
from warehouse.lake_reading import NotKnownError as NotKnownError  # noqa: PLC0414
from warehouse.states import HOURLY

IN_SCOPE = """
CREATE TEMP MACRO in_scope(scope, wanted, region, market_id, channel) AS
    CASE scope
        WHEN 'region' THEN region = wanted OR (wanted = 'unknown' AND region IS NULL)
        WHEN 'market' THEN market_id = wanted
        WHEN 'channel' THEN channel = wanted
        ELSE true
    END
"""
"""For the named queries: whether a row belongs to an incident's scope; ``region`` is that of the market list, null for a market that it does not hold, and these are the
region 'unknown'. Sales are not counted by issuer or service: there every row belongs."""


LAKE_TABLES = ("nation_minute", *(table for table in HOURLY if table != "nation_minute"), "merchant_day", *SMALL_TABLES)
"""What is published of a warehouse, and so what readers see of a lake; the view of another table comes first."""

_NUMBERS = itertools.count()


class ManifestError(ValueError):
    """There is a file where the manifest belongs, and it is none."""


class FolderTakenError(ManifestError):
    """The manifest is another line's. Two that publish into one folder would take turns with their figures, and each remove the other's files."""


@dataclass(frozen=True)
class Manifest:
    """One published state: which files, read up to which offsets, closed up to which minute. Times are aware, in UTC."""

    sequence: int
    warehouse_id: str
    published_at: datetime
    now: datetime
    watermark: datetime | None
    detected_through: datetime | None
    lag: int | None
    totals: Mapping[str, int]
    refusals: Mapping[str, int]
    unknown_names: Mapping[str, int]
    sources: list[Mapping[str, Any]]
    files: Mapping[str, list[str]]
    lost_ranges: list[Mapping[str, Any]]
    """The newest first: topic, partition, from_offset up to but not to_offset, cause, found_at."""

    @classmethod
    def read(cls, published: Path) -> Self:
        """Read ``manifest.json`` in the folder ``published``; or what would be in it of the newest snapshot, where that names a lake.

        Raises:
            NothingPublishedError: there is none.
            ManifestError: it is cut, or of another version.
            OSError: it may not be read.
            LakeAwayError: the lake does not answer.
        """
        if lake := Lake.of(published, ""):
            return cls.of(manifest_of(lake, newest(lake)))
        file = published / "manifest.json"
        try:
            return cls.of(json.loads(file.read_bytes()))
        except FileNotFoundError:
            raise NothingPublishedError(f"{published} holds no manifest.json. Start a worker first: onnuri worker (or all at once: onnuri demo).") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(
                f"{file} is no manifest of this version: {error!r}. A worker that runs writes it anew; without one, start it: onnuri worker."
            ) from error

    @classmethod
    def found(cls, published: Path) -> Self | None:
        """As ``read``; None where there is none, or none that can be understood."""
        try:
            return cls.read(published)
        except (NothingPublishedError, ManifestError):
            return None

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Self:
        """The manifest with that content."""
        return cls(
            sequence=raw["sequence"],
            warehouse_id=raw["warehouse_id"],
            published_at=_time(raw["published_at"]),
            now=_time(raw["now"]),
            watermark=_time(raw["watermark"]) if raw["watermark"] else None,
            detected_through=_time(raw["detected_through"]) if raw["detected_through"] else None,
            lag=raw["lag"],
            totals=raw["totals"],
            # States that an older worker published do not have these.
            refusals=raw.get("refusals", {}),
            unknown_names=raw.get("unknown_names", {}),
            sources=raw["sources"],
            files=raw["files"],
            lost_ranges=raw.get("lost_ranges", []),
        )

    def age(self, wall: datetime) -> timedelta:
        """How long ago this state was published, by the wall clock ``wall`` (aware)."""
        return wall - self.published_at


@dataclass(frozen=True)
class Snapshot:
    """A manifest and the views over its files. Close it, or use it in ``with``."""

    manifest: Manifest
    connection: duckdb.DuckDBPyConnection
    schema: str = ""
    """Where its views are, in a database that other readers of this process have theirs in too."""
    lake: LakeState | None = None
    """What they look at, where that is no files."""

    def query(self, name: str, **parameters: object) -> pl.DataFrame:
        """Run the named query of ``warehouse/queries`` with bound parameters; aware times are bound as UTC."""
        bound = {
            key: value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) and value.tzinfo else value for key, value in parameters.items()
        }
        return frame(self.connection, query_text(name), bound)

    def sql(self, text: str) -> pl.DataFrame:
        """Run a statement of our own against the views; what people write goes through ``warehouse.questions``."""
        return frame(self.connection, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the views."""
        if self.schema:
            self.connection.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")
        if self.lake:
            self.lake.close()
        self.connection.close()


def open_snapshot(published: Path, number: int | None = None) -> Snapshot:
    """Open the newest state, or on a lake the snapshot of that number.

    Raises:
        NothingPublishedError: no worker has published here yet.
        LakeAwayError: the lake does not answer.
        NotKnownError: there is no such snapshot.
    """
    if lake := Lake.of(published, ""):
        number = newest(lake) if number is None else number
        manifest, state = Manifest.of(manifest_of(lake, number)), attached(lake, number)
        sources = {table: f'{state.name}."{table}"' for table in LAKE_TABLES}
    elif number is not None:
        raise NotKnownError(
            f"Of published files only the newest state is kept, so there is no snapshot {number}. A lake keeps them: ONNURI_PUBLISHED=ducklake:…"
        )
    else:
        manifest, state = Manifest.read(published), None
        sources = {table: f"read_parquet([{', '.join(_quoted(published / file) for file in files)}])" for table, files in manifest.files.items() if files}
    snapshot = Snapshot(manifest, open_shared(), f"state_{next(_NUMBERS)}", state)
    try:
        run = snapshot.connection.execute
        run(f"CREATE SCHEMA {snapshot.schema}; SET search_path = '{snapshot.schema},main'; {IN_SCOPE}")
        for table, source in sources.items():
            run(f'CREATE VIEW "{table}" AS SELECT * FROM {source}')
        if "nation_minute" not in sources:
            # States that an older worker published do not have it.
            run(view_text("nation_minute"))
    except BaseException:
        snapshot.close()
        raise
    return snapshot


MAGIC = b"PAR1"
"""A Parquet file begins and ends with it."""


def whole_bytes(file: Path) -> int:
    """The size of a Parquet file; 0 where there is none, or none that this user may read, or where it is cut, as a failing disk leaves it.

    Raises:
        OSError: the system does not let it be opened now, which says nothing about the file.
    """
    try:
        with file.open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            if size <= 2 * len(MAGIC):
                return 0
            opened.seek(-len(MAGIC), os.SEEK_END)
            return size if opened.read() == MAGIC else 0
    except (FileNotFoundError, PermissionError):
        return 0


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def make_way(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Drop an empty table of a reader's own, so that the published one can take its name."""
    connection.execute(f'DROP {"VIEW" if table == "nation_minute" else "TABLE"} IF EXISTS "{table}"')


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
