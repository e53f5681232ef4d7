"""Incidents as rows: the open ones that come in, and the changes that go out."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from warehouse.analysis.counts import utc_minutes
from warehouse.analysis.errors import AnalysisError, need_columns

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the warehouse's times are naive UTC

CHANGES: dict[str, pl.DataType | type[pl.DataType]] = {
    "incident_id": pl.String,
    "action": pl.String,
    "kind": pl.String,
    "scope": pl.String,
    "scope_name": pl.String,
    "onset_at": pl.Datetime("us"),
    "detected_at": pl.Datetime("us"),
    "last_seen_at": pl.Datetime("us"),
    "ended_at": pl.Datetime("us"),
    "peak_failure_rate": pl.Float64,
    "evidence": pl.String,
    "merged_into": pl.String,
}


@dataclass(frozen=True)
class Open:
    """An open incident; minutes are UTC since 1970. ``level`` is that of sales when it was detected, ``left`` the share of them that was left."""

    incident_id: str
    kind: str
    scope: str
    scope_name: str
    onset: int
    detected: int
    last_seen: int
    peak: float
    evidence: str
    level: float
    left: float
    merged_into: str | None = None
    """It is no incident of its own any more, but covers its scope until it is over."""

    def row(self, action: str, ended: int | None = None, merged_into: str | None = None) -> dict[str, Any]:
        """The row of a change."""
        times = {"onset_at": self.onset, "detected_at": self.detected, "last_seen_at": self.last_seen, "ended_at": ended}
        moments = {name: None if minute is None else EPOCH + timedelta(minutes=minute) for name, minute in times.items()}
        names = {"incident_id": self.incident_id, "action": action, "kind": self.kind, "scope": self.scope, "scope_name": self.scope_name}
        return {**names, **moments, "peak_failure_rate": self.peak, "evidence": self.evidence, "merged_into": merged_into or self.merged_into}


def read_open(rows: pl.DataFrame) -> list[Open]:
    """Open incidents from their rows.

    Raises:
        FrameError: a column is missing.
    """
    if not len(rows):
        return []
    need_columns(rows, "open_incidents", [name for name in CHANGES if name not in ("action", "ended_at", "merged_into")])
    times = {name: utc_minutes(rows[name], f"open_incidents: {name}") for name in ("onset_at", "detected_at", "last_seen_at")}
    found = []
    for index, row in enumerate(rows.iter_rows(named=True)):
        said = json.loads(row["evidence"]) if row["evidence"] else {}
        onset, detected, seen = (int(times[name][index]) for name in times)
        level, left, peak = float(said.get("level", 1.0)), float(said.get("left", 0.5)), float(row["peak_failure_rate"] or 0.0)
        found.append(
            Open(
                row["incident_id"],
                row["kind"],
                row["scope"],
                row["scope_name"] or "",
                onset,
                detected,
                seen,
                peak,
                row["evidence"],
                level,
                left,
                row.get("merged_into"),
            )
        )
    return found


def naive(moment: datetime) -> datetime:
    """A time as naive UTC."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def minute_of_utc(moment: datetime, what: str) -> int:
    """Minutes since 1970 in UTC of a time, naive or aware.

    Raises:
        AnalysisError: it is no datetime.
    """
    if not isinstance(moment, datetime):
        raise AnalysisError(f"{what}: expected a datetime in UTC, got {moment!r}.")
    return (naive(moment) - EPOCH) // timedelta(minutes=1)


def minute_after_utc(moment: datetime, what: str) -> int:
    """The same, rounded up: where something ends that took a part of a minute with it. Raises as ``minute_of_utc``."""
    return minute_of_utc(moment, what) + bool(moment.second or moment.microsecond)
