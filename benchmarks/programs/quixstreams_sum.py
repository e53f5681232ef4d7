"""Quix Streams: KRW per market and minute of event time, in its own state store."""

import json
import sys
import tempfile
import time

from quixstreams import Application

broker, topic, records, turn = sys.argv[1], sys.argv[2], int(sys.argv[4]), sys.argv[5]
app = Application(
    broker_address=broker,
    consumer_group=f"quix-{turn}",
    auto_offset_reset="earliest",
    state_dir=tempfile.mkdtemp(),
    loglevel="ERROR",
    use_changelog_topics=False,
)
seen = {"records": 0, "began": 0.0, "ended": 0.0}


def count(_payment: dict[str, object]) -> None:
    """Note the time; what is counted is every record."""
    seen["began"] = seen["began"] or time.perf_counter()
    seen["records"] += 1
    seen["ended"] = time.perf_counter()


payments = app.dataframe(app.topic(topic, value_deserializer="json", timestamp_extractor=lambda value, *_: value["occurred_at"]))
payments = payments.update(count).apply(lambda payment: payment["amount"] if payment["status"] == "approved" else 0)
payments.tumbling_window(60_000, grace_ms=10**12).sum().current()
app.run(count=records, timeout=60)
print(json.dumps({"seconds": seen["ended"] - seen["began"], "records": seen["records"]}))
