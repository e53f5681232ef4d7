"""What ``onnuri doctor`` says: every setting, and the usual faults."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
from kafka.errors import KafkaError

from streams.broker_watch import topic_ids
from streams.events import CONTRACT
from streams.settings import Settings
from warehouse.reading import Manifest, NothingPublishedError

STALE_SECONDS = 30
LEAST_FREE_BYTES = 1_000_000_000


FOR_PROGRAMS = {"kind": pl.String(), "name": pl.String(), "ok": pl.Boolean(), "value": pl.String(), "meaning": pl.String()}


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, whether it is well, and in words what was found and what to do."""

    check: str
    ok: bool
    finding: str


def settings_frame(settings: Settings) -> pl.DataFrame:
    """Every setting with its value, secrets masked."""
    rows = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        rows.append({"setting": f"ONNURI_{name.upper()}", "value": "" if value is None else str(value), "meaning": field.description})
    return pl.DataFrame(rows)


def for_programs(settings: pl.DataFrame, found: list[Finding]) -> pl.DataFrame:
    """Settings and findings as one table: ``kind`` tells them apart, ``ok`` is null for a setting."""
    checks = pl.DataFrame([{"kind": "check", "name": f.check, "ok": f.ok, "value": f.finding, "meaning": None} for f in found], schema=FOR_PROGRAMS)
    return pl.concat(
        [settings.select(pl.lit("setting").alias("kind"), pl.col("setting").alias("name"), pl.lit(None, pl.Boolean).alias("ok"), "value", "meaning"), checks]
    )


def findings(settings: Settings, wall: datetime) -> list[Finding]:
    """Look at broker, disk and published data. ``wall`` is aware."""
    return [_broker(settings), _disk(settings), *_published(settings, wall)]


def _broker(settings: Settings) -> Finding:
    if not settings.kafka:
        return Finding("broker", ok=True, finding="ONNURI_KAFKA is empty: only onnuri demo and onnuri broker run without it.")
    wanted = {settings.topic(name) for name in CONTRACT if name != "clock"}
    try:
        found = topic_ids(settings.kafka, wanted)
    except KafkaError as error:
        return Finding("broker", ok=False, finding=f"No broker answers at {settings.kafka}: {type(error).__name__}. Is it running, and is the port right?")
    missing = sorted(wanted - found.keys())
    if missing:
        return Finding(
            "broker", ok=False, finding=f"{settings.kafka} answers, but these topics are missing: {', '.join(missing)}. A worker creates them when it starts."
        )
    return Finding("broker", ok=True, finding=f"{settings.kafka} answers and has every topic.")


def _disk(settings: Settings) -> Finding:
    folder = next(p for p in settings.warehouse.resolve().parents if p.exists())
    free = shutil.disk_usage(folder).free
    return Finding("disk", free > LEAST_FREE_BYTES, f"{free / 1e9:,.1f} GB free at {folder}.")


def _published(settings: Settings, wall: datetime) -> list[Finding]:
    try:
        manifest = Manifest.read(settings.published_folder)
    except NothingPublishedError as error:
        return [Finding("published", ok=False, finding=str(error))]
    age = manifest.age(wall).total_seconds()
    lost = manifest.totals["lost"]
    return [
        Finding("published", age <= STALE_SECONDS, f"The published state is {age:,.0f} s old" + (". Is the worker running?" if age > STALE_SECONDS else ".")),
        Finding(
            "lag",
            manifest.lag is not None,
            f"{manifest.lag:,} records behind." if manifest.lag is not None else "The lag is not known: the brokers do not tell the logs' ends.",
        ),
        Finding("refused", ok=True, finding=_refused(manifest)),
        Finding("names", ok=True, finding=_unknown(manifest)),
        Finding("lost", not lost and not manifest.lost_ranges, _lost(lost, manifest.lost_ranges)),
    ]


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
