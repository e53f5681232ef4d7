"""What /health and /metrics say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.core import CounterMetricFamily as Counter
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

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
    """Prometheus text, made from the last published state, so that it agrees with what readers see; and the process's own memory, time and files."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Families(lambda: _families(state, manifest, rows_waiting, wall)))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, collected: Callable[[], Iterator[Metric]]) -> None:
        self.collected = collected

    def collect(self) -> Iterator[Metric]:
        return self.collected()


def _families(state: str, manifest: Mapping[str, Any] | None, rows_waiting: int, wall: datetime) -> Iterator[Metric]:
    yield _family(Gauge, "onnuri_build_info", "1; the versions are in the labels", ("version", "duckdb"), {(version("onnuri"), version("duckdb")): 1})
    yield _family(Gauge, "onnuri_up", "1 while it runs and waits for nothing", (), {(): state == "running"})
    yield _family(Gauge, "onnuri_rows_waiting", "Records read but not yet committed", (), {(): rows_waiting})
    if manifest:
        yield from _sources(manifest)
        yield from _ages(manifest, wall)
        reasons = {(reason,): count for reason, count in manifest["refusals"].items()}
        yield _family(Gauge, "onnuri_refusals", "Records refused in the days that single events are kept", ("reason",), reasons)
        unknown = {(kind,): manifest["unknown_names"].get(kind, 0) for kind in UNKNOWN_KINDS}
        yield _family(Gauge, "onnuri_unknown_names", "Names that neither the market list nor the contract knows: onnuri unknown lists them", ("kind",), unknown)


def _family(kind: type[Gauge | Counter], name: str, about: str, labels: Sequence[str], values: Mapping[Any, float]) -> Metric:
    """``values`` by the labels' values, in a tuple."""
    made = kind(name, about, labels=labels)
    for value, number in values.items():
        made.add_metric([str(one) for one in value], number)
    return made


def _sources(manifest: Mapping[str, Any]) -> Iterator[Metric]:
    by_source = {(source["topic"], source["partition"]): source for source in manifest["sources"]}
    where = ("topic", "partition")
    for key in COUNTERS:
        counted = {at: source[key] for at, source in by_source.items()}
        # The library puts _total behind a counter's name.
        yield _family(Counter, f"onnuri_records_{key}", f"Records {key} since the warehouse began", where, counted)
    known = {at: source["lag"] for at, source in by_source.items() if source["lag"] is not None}
    yield _family(Gauge, "onnuri_lag_records", "Log end minus the position of the reader", where, known)
    ranges = manifest["lost_ranges"]
    # A leader of an older version does not count them.
    counted = manifest.get("lost_range_count", len(ranges))
    yield _family(Gauge, "onnuri_lost_ranges", "Ranges of offsets that vanished before they were read", (), {(): counted})
    lost = {
        (r["topic"], r["partition"], r["from_offset"], r["to_offset"], r["cause"], r["found_at"]): max(r["to_offset"] - r["from_offset"], 0) for r in ranges
    }
    labels = (*where, "from", "to", "cause", "found_at")
    yield _family(Gauge, "onnuri_lost_range_records", "One range, 'from' up to but not 'to': its records", labels, lost)


def _ages(manifest: Mapping[str, Any], wall: datetime) -> Iterator[Metric]:
    published = (wall - datetime.fromisoformat(manifest["published_at"])).total_seconds()
    yield _family(Gauge, "onnuri_published_age_seconds", "Age of what readers see", (), {(): published})
    age = data_age_seconds(manifest, wall)
    if age is not None:
        watermark = datetime.fromisoformat(manifest["watermark"]).timestamp()
        yield _family(Gauge, "onnuri_watermark_timestamp_seconds", "Up to when all events have been seen", (), {(): watermark})
        yield _family(Gauge, "onnuri_data_age_seconds", "How far the watermark lies behind the line's clock", (), {(): age})


def data_age_seconds(manifest: Mapping[str, Any], wall: datetime) -> float | None:
    """How far what is complete lies behind the line's clock: it grows where no broker answers, though publishing goes on. None before the first watermark."""
    if not manifest["watermark"]:
        return None
    then = datetime.fromisoformat(manifest["now"]) - datetime.fromisoformat(manifest["watermark"])
    return (then + (wall - datetime.fromisoformat(manifest["published_at"]))).total_seconds()
