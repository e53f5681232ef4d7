"""Publishing: immutable Parquet files and one manifest, for readers who cannot open the file that the writer holds.

The two newest days are one file a table and hour, older days one file a table, so that a new minute rewrites little.
Which files there should be follows from the hours' versions alone: what is missing is written, wherever the last run ended.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from warehouse.ingest import SMALL_TABLES
from warehouse.merging import SEOUL
from warehouse.reading import Manifest, NothingPublishedError

HOURLY = {
    "market_minute": "minute_at",
    "nation_minute": "minute_at",
    "issuer_minute": "minute_at",
    "service_minute": "minute_at",
    "load_minute": "minute_at",
    "failed_purchase": "first_failure_at",
}
"""Tables published by hour, with the column that says which."""

SORTED = {"market_minute": "market_id, minute_at"}
"""Tables whose files of whole days are sorted: one market's month then reads a twentieth of them."""

KEEP_SECONDS = 600
"""How long files stay after no manifest names them: a reader may still hold an older one."""

HOURLY_DAYS = 2
"""The newest days, published by hour."""

BACKLOG = 100_000
"""Records behind, from where publishing is coarse."""


class PublishingEndedError(Exception):
    """The worker ends; the next one publishes the rest."""


@dataclass(frozen=True)
class File:
    """One file that should be published: its path in the folder, and the query that fills it."""

    table: str
    path: str
    where: str
    ordered: str = ""
    """Columns that the rows are sorted by, in small row groups."""


def wanted_files(hours: Mapping[datetime, int], tables: Mapping[str, int], hourly_days: int) -> list[File]:
    """The files that the versions call for: the newest ``hourly_days`` by hour, the rest by day. ``hours`` are naive UTC; a day is a day in Asia/Seoul."""
    files = []
    days: dict[datetime, dict[datetime, int]] = {}
    for hour, version in hours.items():
        day = (hour + SEOUL).replace(hour=0) - SEOUL
        days.setdefault(day, {})[hour] = version
    by_hour = sorted(days)[len(days) - hourly_days :] if hourly_days else []
    for day, versions in sorted(days.items()):
        end = day + timedelta(days=1)
        total = sum(versions.values())
        name = f"{day + SEOUL:%Y-%m-%d}"
        spans = [(f"{h:%Y-%m-%dT%H}Z", v, h, h + timedelta(hours=1)) for h, v in sorted(versions.items())] if day in by_hour else [(name, total, day, end)]
        for label, version, low, high in spans:
            order = {} if day in by_hour else SORTED
            files += [File(t, f"{t}/{label}.v{version}.parquet", f"{c} >= '{low}' AND {c} < '{high}'", order.get(t, "")) for t, c in HOURLY.items()]
        files.append(File("merchant_day", f"merchant_day/{name}.v{total}.parquet", f"day = '{name}'"))
    return files + [File(t, f"{t}/v{tables[t]}.parquet", "true") for t in SMALL_TABLES if t in tables]


class Publisher:
    """Publishes from a cursor of ``connection``; each state is one transaction's view of the warehouse."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self.connection = connection
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # Empty spans have no file; which they are is known only to this process, so a restart looks once more.
        self.written: dict[str, bool] = {}
        self.unnamed: dict[str, float] = {}
        self.ending = False
        """Set from another thread: no further file is written."""
        self.check: Callable[[duckdb.DuckDBPyConnection], None] | None = None
        """Asked before the manifest is put in place; it raises where another worker publishes by now."""
        for part in folder.glob("*/*.part"):
            part.unlink()
        for file in folder.glob("*/*.parquet"):
            self.written[file.relative_to(folder).as_posix()] = True
        try:
            self.sequence = Manifest.read(folder).sequence
        except (NothingPublishedError, ValueError, KeyError):
            self.sequence = 0

    def publish(self, now: datetime, wall: datetime, log_ends: Mapping[tuple[str, int], int], positions: Mapping[tuple[str, int], int]) -> dict[str, Any]:
        """Write what is missing, then the manifest by rename; returns what it says. ``now`` is the line's clock, ``wall`` the reader's."""
        with self.connection.cursor() as cursor:
            body, files = self._state(cursor, now, wall, log_ends, positions)
            if self.check:
                self.check(cursor)
        _replace(self.folder / "manifest.json", json.dumps(body, ensure_ascii=False, indent=1).encode())
        self._sweep({file.path for file in files})
        return body

    def _state(
        self,
        cursor: duckdb.DuckDBPyConnection,
        now: datetime,
        wall: datetime,
        log_ends: Mapping[tuple[str, int], int],
        positions: Mapping[tuple[str, int], int],
    ) -> tuple[dict[str, Any], list[File]]:
        run = cursor.execute
        cursor.begin()
        try:
            line = run("SELECT warehouse_id, watermark, detected_through FROM line").fetchone()
            assert line is not None
            hours = dict(run("SELECT hour_at, version FROM hour_version").fetchall())
            tables = dict(run("SELECT name, version FROM table_version").fetchall())
            sources = [_source(row, log_ends, positions) for row in run(_SOURCES).fetchall()]
            lost = [
                dict(zip(_LOST, (*row[:-1], _aware(row[-1])), strict=True))
                for row in run(f"SELECT {', '.join(_LOST)} FROM lost_range ORDER BY found_at DESC LIMIT 100").fetchall()
            ]
            lags = [s["lag"] for s in sources]
            lag = None if not lags or None in lags else sum(lags)
            # While much is still to be read, every publishing would rewrite most hours; a file a day is enough for then.
            hourly_days = HOURLY_DAYS if lag is not None and lag < BACKLOG else 0
            refusals = dict(run("SELECT reason, count(*) FROM rejected GROUP BY ALL").fetchall())
            unknown = dict(run(_UNKNOWN).fetchall())
            files = [file for file in wanted_files(hours, tables, hourly_days) if self._write(cursor, file)]
        finally:
            with suppress(duckdb.Error):
                cursor.rollback()
        self.sequence += 1
        named: dict[str, list[str]] = {}
        for file in files:
            named.setdefault(file.table, []).append(file.path)
        body = {
            "format": 1,
            "sequence": self.sequence,
            "warehouse_id": line[0],
            "published_at": wall.astimezone(UTC).isoformat(),
            "now": now.astimezone(UTC).isoformat(),
            "watermark": _aware(line[1]),
            "detected_through": _aware(line[2]),
            "lag": lag,
            "totals": {key: sum(s[key] for s in sources if s["topic"] != "clock") for key in ("accepted", "duplicate", "late", "refused", "lost")},
            "refusals": refusals,
            "unknown_names": unknown,
            "lost_ranges": lost,
            "sources": sources,
            "files": named,
        }
        return body, files

    def _write(self, cursor: duckdb.DuckDBPyConnection, file: File) -> bool:
        """Make sure that the file is there; false where it would be empty."""
        if self.ending:
            raise PublishingEndedError
        if file.path not in self.written:
            target = self.folder / file.path
            if target.exists():
                self.written[file.path] = True
            else:
                self.written[file.path] = self._copy(cursor, file, target)
        return self.written[file.path]

    def _copy(self, cursor: duckdb.DuckDBPyConnection, file: File, target: Path) -> bool:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        order, groups = (f" ORDER BY {file.ordered}", ", ROW_GROUP_SIZE 16384") if file.ordered else ("", "")
        row = cursor.execute(
            f"COPY (SELECT * FROM {file.table} WHERE {file.where}{order}) TO '{_quoted(part)}' (FORMAT parquet, COMPRESSION zstd{groups})"
        ).fetchone()
        if not row or not row[0]:
            part.unlink(missing_ok=True)
            return False
        _synced(part)
        part.rename(target)
        return True

    def _sweep(self, current: Iterable[str]) -> None:
        """Remove versions that no manifest has named for a while."""
        keep = set(current)
        now = time.monotonic()
        # What is named again may have lain unnamed for long; its time begins anew when it is dropped the next time.
        self.unnamed = {path: since for path, since in self.unnamed.items() if path not in keep}
        for path in [p for p in self.written if p not in keep]:
            if not self.written[path] or now - self.unnamed.setdefault(path, now) > KEEP_SECONDS:
                (self.folder / path).unlink(missing_ok=True)
                self.unnamed.pop(path, None)
                del self.written[path]


_SOURCES = "SELECT topic, partition, next_offset, accepted, duplicate, late, refused, lost, event_time_max FROM source_offset ORDER BY topic, partition"
_UNKNOWN = "SELECT kind, count(*) FROM unknown_name u WHERE kind <> 'market' OR NOT EXISTS (FROM market m WHERE m.market_id = u.name) GROUP BY kind"
_LOST = ("topic", "partition", "from_offset", "to_offset", "cause", "found_at")


def _source(row: tuple[Any, ...], log_ends: Mapping[tuple[str, int], int], positions: Mapping[tuple[str, int], int]) -> dict[str, Any]:
    topic, partition, next_offset, accepted, duplicate, late, refused, lost, event_time_max = row
    end = log_ends.get((topic, partition))
    # The consumer's position passes transaction markers that no record ever shows; the warehouse's offset does not.
    position = max(next_offset, positions.get((topic, partition), 0))
    return {
        "topic": topic,
        "partition": partition,
        "next_offset": next_offset,
        "log_end": end,
        "lag": None if end is None else max(end - position, 0),
        "accepted": accepted,
        "duplicate": duplicate,
        "late": late,
        "refused": refused,
        "lost": lost,
        "event_time_max": _aware(event_time_max),
    }


def _aware(moment: datetime | None) -> str | None:
    return moment.replace(tzinfo=UTC).isoformat() if moment else None


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(content)
    _synced(part)
    part.replace(path)
