"""Which part of a lake breaks first as events grow, and what replaces it: a model whose inputs are measured.

``python -m benchmarks lake --keep benchmarks/lake.json`` measures what is in ``Measured``; what a place has and wants (partitions, memory, days that single events are kept, how
old figures may be) is in ``Place``. Every part has a demand that grows with events a second and a supply; where they meet, it breaks. Bytes are bytes, rates are a second.

``python -m benchmarks costs --events 10000000``
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

MEASURED = Path(__file__).with_name("lake.json")
DAY = 86_400.0


@dataclass(frozen=True)
class Measured:
    """What this machine did."""

    core_rate: float
    """Events that a worker on the lake writes for each second of processor time: what it would do where it never waited."""
    commits: float
    """Commits that the catalog takes from several workers at once."""
    event_bytes: float
    """Of one single event in the merged files of the lake."""
    minute_bytes: float
    """Of one row of market_minute there."""
    files_a_commit: float
    """New files, of all tables."""
    catalog_file_bytes: float
    """Of the catalog, for each file that it lists."""
    compaction_bytes: float
    """Of single events that one core merges a second."""
    filter_bytes: float
    """Of files that every batch asks, for each event among which duplicates are looked for: the system has to hold them in memory."""

    @classmethod
    def read(cls, path: Path = MEASURED) -> Self:
        """What ``python -m benchmarks lake`` kept.

        Raises:
            FileNotFoundError: nothing was measured yet.
            KeyError: a figure is missing.
        """
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{field.name: float(found[field.name]) for field in fields(cls)})


@dataclass(frozen=True)
class Place:
    """What there is and what is wanted."""

    partitions: int = 100
    worker_cores: float = 1
    """Cores that a worker keeps busy: one thread writes."""
    years: float = 10
    raw_days: float = 36
    """Days that single events are kept, with the one more."""
    batch_seconds: float = 10
    """How long a worker may gather before it commits: so old are the newest figures."""
    memory: float = 64e9
    """Of a worker's machine."""
    shared_ids: bool = True
    """Whether each worker looks for duplicates among all kept events, or among those of its partitions."""
    disk: float = 1e15
    catalog: float = 100e9
    compaction_cores: float = 4
    compact_seconds: float = 600
    """Files wait so long until they are merged."""
    merged_bytes: float = 256e6
    """Of a merged file."""
    markets: int = 1_400
    channels: int = 2
    open_minutes: float = 1_440
    """Minutes of a day in which every market sells something by every channel: all, at the worst."""


@dataclass(frozen=True)
class Part:
    """``need`` at so many events a second, of ``supply``."""

    name: str
    unit: str
    need: Callable[[float], float]
    supply: float
    instead: str

    def breaks_at(self) -> float:
        """Events a second from which it does not suffice; infinite where events do not matter to it."""
        if self.need(1e15) <= self.supply:
            return float("inf")
        low, high = 0.0, 1e15
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if self.need(middle) <= self.supply else (low, middle)
        return high


def workers(measured: Measured, place: Place, events: float) -> float:
    """Workers for so many events a second, at least one."""
    return max(events / measured.core_rate / place.worker_cores, 1)


def minute_rows(place: Place) -> float:
    """Rows of market_minute after all the years, however many events there are."""
    return place.markets * place.channels * place.open_minutes * 365.25 * place.years


def parts(measured: Measured, place: Place) -> list[Part]:
    """Every part that a lake stands on, the one that breaks first at the head."""
    kept = place.raw_days * DAY

    def catalog_bytes(events: float) -> float:
        waiting = workers(measured, place, events) / place.batch_seconds * measured.files_a_commit * place.compact_seconds
        merged = (events * kept * measured.event_bytes + minute_rows(place) * measured.minute_bytes) / place.merged_bytes
        return (waiting + merged) * measured.catalog_file_bytes

    def filters(events: float) -> float:
        return events * kept * measured.filter_bytes / (1 if place.shared_ids else workers(measured, place, events))

    found = [
        Part(
            "partitions",
            "workers",
            lambda events: events / measured.core_rate / place.worker_cores,
            place.partitions,
            "more partitions, in topics made anew; cores are bought with them",
        ),
        Part(
            "commits at the catalog",
            "commits/s",
            lambda events: workers(measured, place, events) / place.batch_seconds,
            measured.commits,
            "longer batches and older figures; or a lake for each group of regions, summed by who reads",
        ),
        Part(
            "filters against duplicates",
            "bytes",
            filters,
            place.memory,
            "ids of one's own partitions only; then fewer days; then files of ids by hour, asked on disk",
        ),
        Part(
            "single events on disk",
            "bytes",
            lambda events: events * kept * measured.event_bytes,
            place.disk,
            "fewer days: minutes do not need them once duplicates and late approvals are past",
        ),
        Part(
            "merging by the elected worker",
            "bytes/s",
            lambda events: events * measured.event_bytes,
            measured.compaction_bytes * place.compaction_cores,
            "not merging single events, whose batches make files large enough; or mergers by day beside it",
        ),
        Part("catalog", "bytes", catalog_bytes, place.catalog, "larger merged files; a shorter time to expiry"),
        Part(
            "minute tables",
            "bytes",
            lambda _: minute_rows(place) * measured.minute_bytes,
            place.disk,
            "nothing: they grow with markets and time, not with events",
        ),
    ]
    return sorted(found, key=Part.breaks_at)


def _short(number: float) -> str:
    if number == float("inf"):
        return "never "
    for factor, sign in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3g} {sign}"
    return f"{number:.3g} "


def main(arguments: list[str] | None = None) -> int:
    """Print the model. Returns the exit code: 2 where nothing was measured yet."""
    options = argparse.ArgumentParser(prog="python -m benchmarks costs", description="Which part of a lake breaks first, and what replaces it.")
    options.add_argument("--events", type=float, nargs="+", default=[5e3, 1e5, 1e6, 1e7], help="events a second (default: %(default)s)")
    options.add_argument("--measured", type=Path, default=MEASURED, help="what 'python -m benchmarks lake --keep FILE' kept (default: benchmarks/lake.json)")
    for field in fields(Place):
        options.add_argument(f"--{field.name.replace('_', '-')}", type=float, default=field.default, help=f"default: {field.default}")
    given = options.parse_args(arguments)
    try:
        measured = Measured.read(given.measured)
    except (FileNotFoundError, KeyError) as error:
        print(f"{given.measured} has not all that is needed ({error!r}). Measure it: python -m benchmarks lake --keep {given.measured}")
        return 2
    place = replace(Place(), **{field.name: type(field.default)(getattr(given, field.name)) for field in fields(Place)})
    print(", ".join(f"{field.name} {_short(getattr(measured, field.name)).strip()}" for field in fields(Measured)))
    print(f"\n{'':<31}{'breaks at':>12}" + "".join(f"{f'{_short(events)}events/s':>20}" for events in given.events))
    print(f"{'workers (cores)':<31}{'':>12}" + "".join(f"{f'{workers(measured, place, e):,.0f} ({e / measured.core_rate:,.1f})':>20}" for e in given.events))
    for part in parts(measured, place):
        cells = (f"{_short(part.need(events))}{part.unit}" + (" !" if part.need(events) > part.supply else "") for events in given.events)
        print(f"{part.name:<31}{_short(part.breaks_at()):>12}" + "".join(f"{cell:>20}" for cell in cells))
    first = parts(measured, place)[0]
    print(f"\nFirst to break: {first.name}, at {_short(first.breaks_at())}events/s. Instead:")
    for part in parts(measured, place):
        print(f"  {part.name}: {part.instead}")
    return 0
