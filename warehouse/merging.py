"""Adding a batch's changes to the aggregates, bounded in time so that the cost does not grow with history."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

SEOUL = timedelta(hours=9)
"""Days are days in Seoul, times are UTC; Korea has no summer time."""


@dataclass(frozen=True)
class Aggregate:
    """An aggregate table: ``time`` is the first of its ``keys``, ``measures`` are sums."""

    keys: tuple[str, ...]
    measures: tuple[str, ...]
    step: timedelta = timedelta(hours=1)

    @property
    def time(self) -> str:
        """The column that bounds a merge."""
        return self.keys[0]


AGGREGATES = {
    "market_minute": Aggregate(
        ("minute_at", "market_id", "channel"),
        ("approved", "approved_amount", "declined", "reversed", "reversed_amount", "failed", "failed_amount"),
    ),
    "issuer_minute": Aggregate(
        ("minute_at", "issuer", "region", "channel", "outcome", "code"),
        ("count", "amount", "latency_under_300", "latency_under_1000", "latency_under_3000", "latency_under_10000", "latency_over_10000"),
    ),
    "service_minute": Aggregate(("minute_at", "service", "code"), ("errors",)),
    "merchant_day": Aggregate(("day", "merchant_id", "market_id"), ("approved", "amount", "failed", "failed_amount"), timedelta(days=1)),
}


def merge(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """Add ``change_<table>`` to ``table``; rows that fall to zero go, as if they had never been.

    Stragglers are merged run by run: one merge over five scattered days would read all five. Hours that no batch has touched before,
    most of them where a backlog is read, have nothing to merge with.
    """
    spec = AGGREGATES[table]
    unit = "hour" if spec.step < timedelta(days=1) else "day"
    found = connection.execute(f"SELECT DISTINCT date_trunc('{unit}', {spec.time}) FROM change_{table} ORDER BY 1").fetchall()
    starts = [start for (start,) in found]
    if not starts:
        return
    around = {"low": starts[0] - SEOUL, "high": starts[-1] + spec.step}
    hours = connection.execute("SELECT hour_at FROM hour_version WHERE hour_at >= $low AND hour_at < $high", around).fetchall()
    touched = {_start(hour, spec) for (hour,) in hours}
    for text, some in (
        (_merging(table, spec), [start for start in starts if start in touched]),
        (f"INSERT INTO {table} BY NAME {_changes(table, spec)}", [start for start in starts if start not in touched]),
    ):
        for low, high in runs(some, spec.step):
            connection.execute(text, {"low": low, "high": high})
    negative = " OR ".join(f'"{m}" < 0' for m in spec.measures)
    taken_back = connection.execute(f"SELECT min({spec.time}), max({spec.time}) FROM change_{table} WHERE {negative}").fetchone()
    if taken_back and taken_back[0] is not None:
        zero = " AND ".join(f'"{m}" = 0' for m in spec.measures)
        connection.execute(f"DELETE FROM {table} WHERE {spec.time} BETWEEN $low AND $high AND {zero}", {"low": taken_back[0], "high": taken_back[1]})


def runs(starts: list[datetime], step: timedelta) -> list[tuple[datetime, datetime]]:
    """Join sorted starts of spans of length ``step`` into half-open runs without gaps."""
    joined: list[tuple[datetime, datetime]] = []
    for start in starts:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], start + step)
        else:
            joined.append((start, start + step))
    return joined


def _start(hour: datetime, spec: Aggregate) -> datetime:
    """The start of the span of an aggregate that an hour (UTC) lies in; days are days in Seoul."""
    return hour if spec.step < timedelta(days=1) else (hour + SEOUL).replace(hour=0)


def _changes(table: str, spec: Aggregate) -> str:
    changed = " OR ".join(f'"{m}" <> 0' for m in spec.measures)
    return f"SELECT * FROM change_{table} c WHERE c.{spec.time} >= $low AND c.{spec.time} < $high AND ({changed})"


def _merging(table: str, spec: Aggregate) -> str:
    matched = " AND ".join(f't."{k}" = s."{k}"' for k in spec.keys)
    added = ", ".join(f'"{m}" = t."{m}" + s."{m}"' for m in spec.measures)
    return (
        f"MERGE INTO {table} t USING ({_changes(table, spec)}) s ON {matched} AND t.{spec.time} >= $low AND t.{spec.time} < $high "
        f"WHEN MATCHED THEN UPDATE SET {added} WHEN NOT MATCHED THEN INSERT BY NAME"
    )
