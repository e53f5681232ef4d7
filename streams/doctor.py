"""What ``onnuri doctor`` says: every setting, and the usual faults."""

import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from importlib import metadata, resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import polars as pl
from kafka.errors import KafkaError

from streams.admission import refusal
from streams.broker_watch import compacted, newest_times, partition_counts, topic_ids
from streams.lake_check import Finding, look_at_lake
from streams.settings import SettingError, Settings, unknown_names
from streams.topics import READ, partitions_of, refuse_compacted, refuse_unequal
from warehouse.access import AccessError
from warehouse.connection import shut
from warehouse.lake import PREFIX
from warehouse.lake_writer import TOGETHER
from warehouse.reading import Manifest, ManifestError, NothingPublishedError, whole_bytes

STALE_SECONDS = 30
LEAST_FREE_BYTES = 1_000_000_000

SKEW_SECONDS = 5
"""More than records and files need on their way: what is that far ahead of this clock was written by another clock."""

PARTS = ("onnuri", "duckdb", "polars", "pyarrow", "faust-streaming", "aiokafka", "kafka-python", "streamlit")
"""Packages whose versions a report of a fault needs."""

FOR_PROGRAMS = {"kind": pl.String(), "name": pl.String(), "ok": pl.Boolean(), "value": pl.String(), "meaning": pl.String()}


def settings_frame(settings: Settings) -> pl.DataFrame:
    """Every setting with its value, secrets masked."""
    rows = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        shown = "" if value is None else _without_secret(value) if name == "alert_url" else str(value)
        rows.append({"setting": f"ONNURI_{name.upper()}", "value": shown, "meaning": field.description})
    return pl.DataFrame(rows)


def _without_secret(url: str) -> str:
    """The host alone: the address of a chat's webhook is itself what lets one write there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/**********"


def for_programs(settings: pl.DataFrame, found: list[Finding]) -> pl.DataFrame:
    """Settings and findings as one table: ``kind`` tells them apart, ``ok`` is null for a setting."""
    checks = pl.DataFrame([{"kind": "check", "name": f.check, "ok": f.ok, "value": f.finding, "meaning": None} for f in found], schema=FOR_PROGRAMS)
    return pl.concat(
        [settings.select(pl.lit("setting").alias("kind"), pl.col("setting").alias("name"), pl.lit(None, pl.Boolean).alias("ok"), "value", "meaning"), checks]
    )


def findings(settings: Settings, wall: datetime) -> list[Finding]:
    """Look at broker, disk and published data. ``wall`` is aware."""
    broker = _broker(settings)
    lake = [look_at_lake(settings.lake), _dealing(settings, ask=broker.ok)] if settings.lake else []
    return [
        _variables(unknown_names()),
        broker,
        _compaction(settings, ask=broker.ok),
        *lake,
        _disk(settings),
        _clock(settings, wall, ask=broker.ok),
        _time_zone(wall),
        _fonts(),
        _versions(),
        *_published(settings, wall),
    ]


def _variables(unknown: Mapping[str, str]) -> Finding:
    told = "; ".join(f"{name} is no setting" + (f": did you mean {meant}?" if meant else "") for name, meant in unknown.items())
    return Finding("variables", not unknown, f"{told}. Nothing reads it." if told else "Every variable that begins with ONNURI_ is a setting.")


def _broker(settings: Settings) -> Finding:
    if not settings.kafka:
        return Finding("broker", ok=True, finding="ONNURI_KAFKA is empty: only onnuri demo and onnuri broker run without it.")
    wanted = {settings.topic(name) for name in partitions_of(settings)}
    try:
        # Asked first, since the clients would try for seconds and then say only that nobody answers.
        refused = refusal(settings.kafka, settings.access)
        found = topic_ids(settings.kafka, wanted, settings.access) if refused is None else {}
    except AccessError as error:
        return Finding("broker", ok=False, finding=str(error))
    except KafkaError as error:
        return Finding("broker", ok=False, finding=f"No broker answers at {settings.kafka}: {type(error).__name__}. Is it running, and is the port right?")
    if refused is not None:
        return Finding("broker", ok=False, finding=refused.reason)
    missing = sorted(wanted - found.keys())
    if missing:
        return Finding(
            "broker", ok=False, finding=f"{settings.kafka} answers, but these topics are missing: {', '.join(missing)}. A worker creates them when it starts."
        )
    return Finding("broker", ok=True, finding=f"{settings.kafka} answers over {settings.kafka_security} and has every topic.")


def _dealing(settings: Settings, *, ask: bool) -> Finding:
    """Whether payments and errors can be dealt to workers by their numbers."""
    return _of_topics(
        "partitions",
        lambda: refuse_unequal(partition_counts(settings.kafka, map(settings.topic, TOGETHER), settings.access)),
        "The brokers did not tell the partitions",
        "Payments and errors have the same number: any number of workers up to that can share them.",
        ask=ask and bool(settings.kafka),
    )


def _compaction(settings: Settings, *, ask: bool) -> Finding:
    """Whether the brokers keep every record of the topics that are read."""
    return _of_topics(
        "compaction",
        lambda: refuse_compacted(compacted(settings.kafka, map(settings.topic, READ), settings.access)),
        "The brokers did not tell the topics' settings",
        "No topic that is read is known to be compacted.",
        ask=ask and bool(settings.kafka),
    )


def _of_topics(check: str, look: Callable[[], None], untold: str, fine: str, *, ask: bool) -> Finding:
    """What a worker would refuse at its start, by asking the brokers; what they do not tell is no fault."""
    if not ask:
        return Finding(check, ok=True, finding="No broker was asked.")
    try:
        look()
    except SettingError as error:
        return Finding(check, ok=False, finding=str(error))
    except KafkaError as error:
        return Finding(check, ok=True, finding=f"{untold}: {type(error).__name__}.")
    return Finding(check, ok=True, finding=fine)


def _disk(settings: Settings) -> Finding:
    # Of a lake on object storage only what is published lies on a disk.
    place = (
        settings.published_folder / "x" if settings.lake and settings.lake.remote else Path(settings.lake.data) / "x" if settings.lake else settings.warehouse
    )
    try:
        folder = next(p for p in place.resolve().parents if p.exists())
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("disk", ok=False, finding=shut(error))
    return Finding("disk", free > LEAST_FREE_BYTES, f"{free / 1e9:,.1f} GB free at {folder}.")


def _clock(settings: Settings, wall: datetime, *, ask: bool) -> Finding:
    """Hold this machine's clock against what other machines have written: nothing can have been written later than now. ``ask``: the brokers too."""
    ahead = {"the newest published state": _published_ahead(settings, wall)}
    # A replay carries the times of its scenario.
    if ask and settings.kafka and settings.clock == "wall":
        try:
            newest = newest_times(settings.kafka, [settings.topic(name) for name in ("payments", "errors")], settings.access)
            ahead |= {f"the newest record of {topic}": (at - wall).total_seconds() for topic, at in newest.items()}
        except KafkaError as error:
            return Finding("clock", ok=True, finding=f"The brokers did not tell their newest records: {type(error).__name__}.")
    what, seconds = max(ahead.items(), key=lambda item: item[1])
    if seconds > SKEW_SECONDS:
        told = f"{what[0].upper()}{what[1:]} is {seconds:,.0f} s ahead of this machine's clock, which says {wall:%Y-%m-%d %H:%M:%S} UTC: one of the two clocks is wrong."
        return Finding("clock", ok=False, finding=f"{told} Keep them with NTP; events more than ten minutes ahead are refused.")
    return Finding("clock", ok=True, finding=f"This machine says {wall:%Y-%m-%d %H:%M:%S} UTC; nothing was written after that.")


def _published_ahead(settings: Settings, wall: datetime) -> float:
    try:
        return -Manifest.read(settings.published_folder).age(wall).total_seconds()
    except (NothingPublishedError, ManifestError, OSError):
        return 0.0  # a finding of its own


def _time_zone(wall: datetime) -> Finding:
    try:
        korean = wall.astimezone(ZoneInfo("Asia/Seoul"))
    except ZoneInfoNotFoundError:
        return Finding("time zone", ok=False, finding="Asia/Seoul is in no time zone data here: install the package tzdata.")
    return Finding(
        "time zone", ok=True, finding=f"It is {korean:%H:%M} in Korea. The machine's own zone is {wall.astimezone().tzname()}, which nothing depends on."
    )


def _fonts() -> Finding:
    package = "pylopdf_fonts_ko"
    if find_spec(package) is None or not any(found.name.endswith((".ttf", ".otf", ".ttc")) for found in resources.files(package).iterdir()):
        return Finding("fonts", ok=False, finding="The font that reports are set in is missing: install the package pylopdf-fonts-ko.")
    return Finding("fonts", ok=True, finding="Reports are set in Noto Sans KR of the package pylopdf-fonts-ko; pages use the fonts of the browser's machine.")


def _versions() -> Finding:
    told, missing = [f"Python {platform.python_version()}"], []
    for name in PARTS:
        try:
            told.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    lacking = f" Missing: {', '.join(missing)}; install again." if missing else ""
    return Finding("versions", not missing, ", ".join(told) + "." + lacking)


def _published(settings: Settings, wall: datetime) -> list[Finding]:
    try:
        manifest = Manifest.read(settings.published_folder)
    except (NothingPublishedError, ManifestError) as error:
        return [Finding("published", ok=False, finding=str(error))]
    except OSError as error:
        return [Finding("published", ok=False, finding=shut(error))]
    age = manifest.age(wall).total_seconds()
    lost = manifest.totals["lost"]
    return [
        Finding("published", age <= STALE_SECONDS, f"The published state is {age:,.0f} s old" + (". Is the worker running?" if age > STALE_SECONDS else ".")),
        _files(settings, manifest),
        _lag(settings, manifest.lag),
        Finding("refused", ok=True, finding=_refused(manifest)),
        Finding("names", ok=True, finding=_unknown(manifest)),
        Finding("lost", not lost and not manifest.lost_ranges, _lost(lost, manifest.lost_ranges)),
    ]


def _files(settings: Settings, manifest: Manifest) -> Finding:
    """Look at the end of each file that readers are told of."""
    if str(settings.published or "").startswith(PREFIX):
        return Finding("files", ok=True, finding="The lake itself is read, and no published files.")
    named = sorted(file for files in manifest.files.values() for file in files)
    try:
        broken = [file for file in named if not whole_bytes(settings.published_folder / file)]
    except OSError as error:
        return Finding("files", ok=False, finding=shut(error))
    if broken:
        told = f"{len(broken):,} of {len(named):,} published files are missing, cut or not to be read: {', '.join(broken[:5])}."
        return Finding("files", ok=False, finding=f"{told} A worker that runs writes them again; without one, start it: onnuri worker.")
    return Finding("files", ok=True, finding=f"{len(named):,} published files are there and whole.")


def _lag(settings: Settings, lag: int | None) -> Finding:
    if lag is not None:
        return Finding("lag", ok=True, finding=f"{lag:,} records behind.")
    if str(settings.published or "").startswith(PREFIX):
        return Finding(
            "lag", ok=True, finding="Who reads the lake itself does not know how much is still to be read: /health and the published files of the workers tell."
        )
    return Finding("lag", ok=False, finding="The lag is not known: the brokers do not tell the logs' ends.")


def _refused(manifest: Manifest) -> str:
    if not manifest.totals["refused"]:
        return "Nothing was refused."
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in sorted(manifest.refusals.items(), key=lambda item: -item[1]))
    return f"{manifest.totals['refused']:,} records were refused; of those of the last days: {reasons}. Their bytes are in the topic dead-letters."


def _unknown(manifest: Manifest) -> str:
    if not manifest.unknown_names:
        return "Every market is on the list, every channel, service and code in the contract."
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(manifest.unknown_names.items()))
    return f"Names that neither the market list nor the contract knows: {kinds}. They count under their names; onnuri unknown lists them."


def _lost(number: int, ranges: Sequence[Mapping[str, Any]]) -> str:
    if not number and not ranges:
        return "Nothing was lost."
    told = "; ".join(f"{r['topic']}/{r['partition']} {r['from_offset']} to {r['to_offset']}, {r['cause']}" for r in ranges[:10])
    return f"{number:,} records vanished before they were read: {told}." if told else f"{number:,} records vanished before they were read."
