"""Adding a batch's changes to the aggregates, bounded in time so that the cost does not grow with history."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb


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

    Stragglers are merged run by run: one merge over five scattered days would read all five.
    """
    spec = AGGREGATES[table]
    unit = "hour" if spec.step < timedelta(days=1) else "day"
    found = connection.execute(f"SELECT DISTINCT date_trunc('{unit}', {spec.time}) FROM change_{table} ORDER BY 1").fetchall()
    text = _statement(table, spec)
    for low, high in runs([start for (start,) in found], spec.step):
        connection.execute(text, {"low": low, "high": high})
    negative = " OR ".join(f'"{m}" < 0' for m in spec.measures)
    taken_back = connection.execute(f"SELECT min({spec.time}), max({spec.time}) FROM change_{table} WHERE {negative}").fetchone()
    if taken_back and taken_back[0] is not None:
        zero = " AND ".join(f'"{m}" = 0' for m in spec.measures)
        connection.execute(f"DELETE FROM {table} WHERE {spec.time} BETWEEN $low AND $high AND {zero}", {"low": taken_back[0], "high": taken_back[1]})


def runs(starts: list[datetime] | list[date], step: timedelta) -> list[tuple[datetime | date, datetime | date]]:
    """Join sorted starts of spans of length ``step`` into half-open runs without gaps."""
    joined: list[tuple[datetime | date, datetime | date]] = []
    for start in starts:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], start + step)
        else:
            joined.append((start, start + step))
    return joined


def _statement(table: str, spec: Aggregate) -> str:
    matched = " AND ".join(f't."{k}" = s."{k}"' for k in spec.keys)
    added = ", ".join(f'"{m}" = t."{m}" + s."{m}"' for m in spec.measures)
    changed = " OR ".join(f'"{m}" <> 0' for m in spec.measures)
    bounds = "{0}.{1} >= $low AND {0}.{1} < $high"
    return (
        f"MERGE INTO {table} t USING (SELECT * FROM change_{table} c WHERE {bounds.format('c', spec.time)} AND ({changed})) s "
        f"ON {matched} AND {bounds.format('t', spec.time)} "
        f"WHEN MATCHED THEN UPDATE SET {added} WHEN NOT MATCHED THEN INSERT BY NAME"
    )
