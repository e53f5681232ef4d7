"""Bytewax: KRW per market and minute of event time."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta

import bytewax.operators as op
import bytewax.operators.windowing as win
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

broker, topic, records = sys.argv[1], sys.argv[2], int(sys.argv[4])
seen = {"records": 0, "began": 0.0}


class Nowhere(DynamicSink):
    """Takes sums and keeps none."""

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> StatelessSinkPartition:
        """The one partition."""
        return Discarded()


class Discarded(StatelessSinkPartition):
    """Where sums end."""

    def write_batch(self, items: list[object]) -> None:
        """Let them go."""


def parsed(message: object) -> tuple[str, tuple[int, datetime]]:
    """Market, KRW and event time of a payment."""
    seen["began"] = seen["began"] or time.perf_counter()
    seen["records"] += 1
    payment = json.loads(message.value)
    krw = payment["amount"] if payment["status"] == "approved" else 0
    return payment["market_id"], (krw, datetime.fromtimestamp(payment["occurred_at"] / 1000, UTC))


flow = Dataflow("sum")
read = op.input("read", flow, KafkaSource([broker], [topic], tail=False, batch_size=10_000))
keyed = op.map("parse", read, parsed)
clock = EventClock(lambda item: item[1], wait_for_system_duration=timedelta(days=400))
windower = TumblingWindower(length=timedelta(minutes=1), align_to=datetime(2025, 1, 1, tzinfo=UTC))
summed = win.fold_window("sum", keyed, clock, windower, lambda: 0, lambda total, item: total + item[0], lambda one, other: one + other)
op.output("end", summed.down, Nowhere())
run_main(flow)
print(json.dumps({"seconds": time.perf_counter() - seen["began"], "records": seen["records"]}))
