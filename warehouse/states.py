"""What a state of the warehouse is to those who read it: how far it is read and closed, and by their versions the parts that each table consists of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from warehouse.ingest import SMALL_TABLES
from warehouse.merging import SEOUL

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

HOURLY_DAYS = 2
"""The newest days, published by hour."""

LOST_NAMED = 100
"""The newest lost ranges, each of which a manifest names; it counts all."""

BACKLOG = 100_000
"""Records behind, from where publishing is coarse."""


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


def state(
    connection: duckdb.DuckDBPyConnection,
    now: datetime,
    wall: datetime,
    log_ends: Mapping[tuple[str, int], int | None],
    positions: Mapping[tuple[str, int], int],
) -> tuple[dict[str, Any], list[File]]:
    """What a manifest says of the state that ``connection`` sees, but its ``sequence`` and ``files``; and the files that there should be for it.

    ``now`` is the line's clock, ``wall`` the reader's. ``log_ends`` has the partitions that are read, None where the end is not known: the lag is theirs. Others
    were read once, as a scenario's clock or a topic that was made anew with fewer partitions.
    """
    run = connection.execute
    line = run("SELECT warehouse_id, watermark, detected_through FROM line").fetchone()
    assert line is not None
    hours = dict(run("SELECT hour_at, version FROM hour_version").fetchall())
    tables = dict(run("SELECT name, version FROM table_version").fetchall())
    sources = [_source(row, log_ends, positions) for row in run(_SOURCES).fetchall()]
    lost = [
        dict(zip(_LOST, (*row[:-1], _aware(row[-1])), strict=True))
        for row in run(f"SELECT {', '.join(_LOST)} FROM lost_range ORDER BY found_at DESC LIMIT {LOST_NAMED}").fetchall()
    ]
    ((lost_ranges,),) = run("SELECT count(*) FROM lost_range").fetchall()
    lags = [s["lag"] for s in sources if (s["topic"], s["partition"]) in log_ends]
    lag = None if not lags or None in lags else sum(lags)
    # While much is still to be read, every publishing would rewrite most hours; a file a day is enough for then.
    hourly_days = HOURLY_DAYS if lag is not None and lag < BACKLOG else 0
    body = {
        "format": 1,
        "warehouse_id": line[0],
        "published_at": wall.astimezone(UTC).isoformat(),
        "now": now.astimezone(UTC).isoformat(),
        "watermark": _aware(line[1]),
        "detected_through": _aware(line[2]),
        "lag": lag,
        "totals": {key: sum(s[key] for s in sources if s["topic"] != "clock") for key in ("accepted", "duplicate", "late", "refused", "lost")},
        "refusals": dict(run("SELECT reason, count(*) FROM rejected GROUP BY ALL").fetchall()),
        "unknown_names": dict(run(_UNKNOWN).fetchall()),
        "lost_ranges": lost,
        "lost_range_count": lost_ranges,
        "sources": sources,
    }
    return body, wanted_files(hours, tables, hourly_days)


def by_table(files: Iterable[File]) -> dict[str, list[str]]:
    """The files' paths, as a manifest names them."""
    named: dict[str, list[str]] = {}
    for file in files:
        named.setdefault(file.table, []).append(file.path)
    return named


_SOURCES = "SELECT topic, partition, next_offset, accepted, duplicate, late, refused, lost, event_time_max FROM source_offset ORDER BY topic, partition"
_UNKNOWN = "SELECT kind, count(*) FROM unknown_name u WHERE kind <> 'market' OR NOT EXISTS (FROM market m WHERE m.market_id = u.name) GROUP BY kind"
_LOST = ("topic", "partition", "from_offset", "to_offset", "cause", "found_at")


def _source(row: tuple[Any, ...], log_ends: Mapping[tuple[str, int], int | None], positions: Mapping[tuple[str, int], int]) -> dict[str, Any]:
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
