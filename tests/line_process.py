"""A real worker as a process of its own, and what tests ask of it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from streams.demo import environment
from streams.settings import Settings
from tests.events_data import encoded
from warehouse.reading import Snapshot, open_snapshot

ROOT = Path(__file__).parents[1]
COLUMNS = ("approved", "approved_amount", "declined", "reversed", "reversed_amount", "failed", "failed_amount")
Cells = dict[tuple[Any, ...], tuple[int, ...]]


class WorkerProcess:
    """``onnuri worker`` on given settings; started, killed and started again. With a ``fault`` of ``tests.faulty_worker``, that one instead."""

    def __init__(self, settings: Settings, fault: str = "", **changes: object) -> None:
        self.settings = settings.model_copy(update=changes)
        self.fault = fault
        self.log = self.settings.published_folder.parent / f"worker-{self.settings.web_port}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            module = ["tests.faulty_worker"] if self.fault else ["streams.cli", "worker"]
            given = {**os.environ, **environment(self.settings), "FAULT": self.fault}
            self.process = subprocess.Popen([sys.executable, "-m", *module], env=given, cwd=ROOT, stdout=log, stderr=log)

    def kill(self, how: signal.Signals = signal.SIGKILL, seconds: float = 20) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(seconds)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def health(self) -> dict[str, Any]:
        """What /health says, whatever its status; empty where nobody answers."""
        url = f"http://127.0.0.1:{self.settings.web_port}/health"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return json.load(error)
        except OSError:
            return {}

    def manifest(self) -> dict[str, Any]:
        """The newest published state; empty before the first."""
        try:
            return json.loads((self.settings.published_folder / "manifest.json").read_bytes())
        except FileNotFoundError:
            return {}

    def published(self) -> dict[str, Any]:
        """The manifest without its files."""
        return {key: value for key, value in self.manifest().items() if key not in ("files", "sources")}

    def snapshot(self) -> Snapshot:
        return open_snapshot(self.settings.published_folder)

    def wait(self, what: Callable[[], object], seconds: float = 150) -> None:
        """Wait until ``what`` holds; fails with the end of the log where it does not in time, or where the worker ended."""
        deadline = time.monotonic() + seconds
        while not what():
            tail = self.log.read_text(errors="replace")[-3000:]
            assert self.process is None or self.process.poll() is None, f"the worker ended:\n{tail}"
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}; {self.published()}\n{tail}"
            time.sleep(0.1)

    def wait_until_read(self, accepted: int, seconds: float = 180) -> None:
        """Wait until so many records are accepted, published, and none is left."""
        self.wait(lambda: (m := self.manifest()) and m["lag"] == 0 and m["totals"]["accepted"] >= accepted, seconds)


@contextmanager
def producer(settings: Settings) -> Iterator[KafkaProducer]:
    """A client that waits for all acknowledgements at its end."""
    made = KafkaProducer(bootstrap_servers=settings.kafka, acks="all", **settings.access.arguments())
    try:
        yield made
        made.flush()
    finally:
        made.close()


def send_events(settings: Settings, topic: str, events: Iterable[object], **options: int) -> None:
    with producer(settings) as made:
        for event in events:
            key = event["market_id"].encode() if isinstance(event, dict) and "market_id" in event else None
            made.send(settings.topic(topic), key=key, value=encoded(event), **options)


def published_cells(snapshot: Snapshot) -> Cells:
    """Every cell of market_minute."""
    found = snapshot.sql(f"SELECT minute_at, market_id, channel, {', '.join(COLUMNS)} FROM market_minute").rows()
    return {row[:3]: row[3:] for row in found}


def records_of(bootstrap: str, topic: str) -> list[tuple[bytes | None, bytes, list[tuple[str, bytes]]]]:
    """Every committed record of a topic, read by a client of its own: key, value, headers."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False, group_id=None)
    try:
        partitions = [TopicPartition(topic, p) for p in consumer.partitions_for_topic(topic) or ()]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends, found = consumer.end_offsets(partitions), []
        while any(consumer.position(tp) < ends[tp] for tp in partitions):
            for records in consumer.poll(timeout_ms=500, max_records=50_000).values():
                found += [(r.key, r.value, r.headers) for r in records]
        return found
    finally:
        consumer.close()


def recount(payments: Sequence[dict[str, Any]], failures: Sequence[dict[str, Any]]) -> Cells:
    """What market_minute should hold, counted from the events one by one in plain Python."""
    payments = list({p["event_id"]: p for p in payments}.values())
    failures = list({f["event_id"]: f for f in failures}.values())
    decided = {(p["purchase_id"], p["attempt"]) for p in payments if p["status"] != "reversed" and "purchase_id" in p and "attempt" in p}
    counted: dict[tuple[str, Any], dict[str, Any]] = {}
    for event in sorted((f for f in failures if f["service"] == "payment"), key=lambda f: (f["occurred_at"], f["event_id"])):
        attempt = (event.get("purchase_id", event["event_id"]), event.get("attempt", event["event_id"]))
        if attempt not in decided:
            counted.setdefault(attempt, event)
    found: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)

    def cell(event: dict[str, Any]) -> Counter[str]:
        minute = (datetime(1970, 1, 1) + timedelta(milliseconds=event["occurred_at"])).replace(second=0, microsecond=0)
        return found[minute, event.get("market_id", "unknown"), event.get("channel", "unknown")]

    for event in payments:
        cell(event)[event["status"]] += 1
        cell(event)[event["status"] + "_amount"] += event["amount"]
    for event in counted.values():
        cell(event)["failed"] += 1
        cell(event)["failed_amount"] += event.get("amount", 0)
    return {key: tuple(counts[name] for name in COLUMNS) for key, counts in found.items()}


def recount_topics(settings: Settings) -> Cells:
    """Read both topics with a client of its own and count what is sound anew, without the project's decoding or SQL."""
    events: dict[str, list[dict[str, Any]]] = {"payments": [], "errors": []}
    for topic, kept in events.items():
        for _, value, _ in records_of(settings.kafka, settings.topic(topic)):
            try:
                event = json.loads(value)
            except ValueError:
                continue
            if isinstance(event, dict) and {"event_id", "occurred_at"} <= event.keys() and type(event["occurred_at"]) is int:
                kept.append(event)
    return recount(events["payments"], events["errors"])


def just_now() -> datetime:
    """A minute ago, by the wall."""
    return datetime.now(UTC) - timedelta(minutes=1)
