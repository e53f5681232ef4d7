"""What /health and /metrics say."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import generate_latest

COUNTERS = ("accepted", "duplicate", "late", "refused", "lost")
UNKNOWN_KINDS = ("market", "channel", "service", "code")


def health(state: str, manifest: Mapping[str, Any] | None, committed_at: datetime | None, wall: datetime) -> dict[str, Any]:
    """One object for people and probes; ``status`` is ``ok`` while the line runs or has nothing to do."""
    return {
        "status": "ok" if state == "running" else state,
        "committed_at": committed_at.isoformat() if committed_at else None,
        "published_at": manifest["published_at"] if manifest else None,
        "age_seconds": (wall - datetime.fromisoformat(manifest["published_at"])).total_seconds() if manifest else None,
        "watermark": manifest["watermark"] if manifest else None,
        "data_age_seconds": data_age_seconds(manifest, wall) if manifest else None,
        "lag": manifest["lag"] if manifest else None,
        **{key: manifest["totals"][key] if manifest else None for key in COUNTERS},
        "lost_ranges": manifest["lost_ranges"] if manifest else [],
    }


def metrics(state: str, manifest: Mapping[str, Any] | None, rows_waiting: int, wall: datetime) -> bytes:
    """Prometheus text, made from the last published state, so that it agrees with what readers see."""
    registry = CollectorRegistry()

    def gauge(name: str, about: str, *labels: str) -> Gauge:
        return Gauge(name, about, labels, registry=registry)

    gauge("onnuri_up", "1 while batches are being committed").set(state == "running")
    gauge("onnuri_rows_waiting", "Records read but not yet committed").set(rows_waiting)
    if manifest:
        _sources(manifest, gauge)
        _ages(manifest, wall, gauge)
        refusals = gauge("onnuri_refusals", "Records refused in the days that single events are kept", "reason")
        for reason, count in manifest["refusals"].items():
            refusals.labels(reason).set(count)
        unknown = gauge("onnuri_unknown_names", "Names that neither the market list nor the contract knows: onnuri unknown lists them", "kind")
        for kind in UNKNOWN_KINDS:
            unknown.labels(kind).set(manifest["unknown_names"].get(kind, 0))
    return generate_latest(registry)


def _sources(manifest: Mapping[str, Any], gauge: Callable[..., Gauge]) -> None:
    counters = {key: gauge(f"onnuri_records_{key}", f"Records {key} since the warehouse began", "topic", "partition") for key in COUNTERS}
    lag = gauge("onnuri_lag_records", "Log end minus the position of the reader", "topic", "partition")
    for source in manifest["sources"]:
        where = source["topic"], source["partition"]
        for key, counter in counters.items():
            counter.labels(*where).set(source[key])
        if source["lag"] is not None:
            lag.labels(*where).set(source["lag"])
    gauge("onnuri_lost_ranges", "Ranges of offsets that vanished before they were read").set(len(manifest["lost_ranges"]))
    ranges = gauge("onnuri_lost_range", "One range, 'from' up to but not 'to': its records", "topic", "partition", "from", "to", "cause", "found_at")
    for lost in manifest["lost_ranges"]:
        low, high = lost["from_offset"], lost["to_offset"]
        ranges.labels(lost["topic"], lost["partition"], low, high, lost["cause"], lost["found_at"]).set(max(high - low, 0))


def _ages(manifest: Mapping[str, Any], wall: datetime, gauge: Callable[..., Gauge]) -> None:
    gauge("onnuri_published_age_seconds", "Age of what readers see").set((wall - datetime.fromisoformat(manifest["published_at"])).total_seconds())
    age = data_age_seconds(manifest, wall)
    if age is not None:
        gauge("onnuri_watermark_timestamp_seconds", "Up to when all events have been seen").set(datetime.fromisoformat(manifest["watermark"]).timestamp())
        gauge("onnuri_data_age_seconds", "How far the watermark lies behind the line's clock").set(age)


def data_age_seconds(manifest: Mapping[str, Any], wall: datetime) -> float | None:
    """How far what is complete lies behind the line's clock: it grows where no broker answers, though publishing goes on. None before the first watermark."""
    if not manifest["watermark"]:
        return None
    then = datetime.fromisoformat(manifest["now"]) - datetime.fromisoformat(manifest["watermark"])
    return (then + (wall - datetime.fromisoformat(manifest["published_at"]))).total_seconds()
