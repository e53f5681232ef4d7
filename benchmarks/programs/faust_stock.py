"""Faust as its documentation shows it: an agent that takes typed records one by one, or bytes many at a time (last argument ``take``). Thrown away."""

import json
import os
import sys
import tempfile
import time

import faust

broker, topic, records, turn, way = sys.argv[1], sys.argv[2], int(sys.argv[4]), sys.argv[5], sys.argv[6]
app = faust.App(
    f"stock-{way}-{turn}", broker=f"kafka://{broker}", datadir=tempfile.mkdtemp(), web_enabled=False, topic_allow_declare=False, topic_disable_leader=True
)


class Payment(faust.Record, serializer="json"):
    """What a sum per market needs."""

    event_id: str
    market_id: str
    status: str
    amount: int


def done(began: float, read: int, first: int) -> None:
    """Print, and end the process: stopping Faust in order is not what is measured. The clock began when the first ones were there, so these don't count."""
    print(
        json.dumps({"seconds": time.perf_counter() - began, "records": read, "counted": read - first}), file=sys.__stdout__, flush=True
    )  # Faust has taken sys.stdout for its log
    os._exit(0)


if way == "take":

    @app.agent(app.topic(topic, value_serializer="raw"))
    async def many(stream: faust.StreamT) -> None:
        """Twenty thousand at a time."""
        began, read, first = 0.0, 0, 0
        async for values in stream.take(20_000, within=1):
            began, first = began or time.perf_counter(), first or len(values)
            read += len(values)
            if read >= records:
                done(began, read, first)

else:

    @app.agent(app.topic(topic, value_type=Payment))
    async def each(stream: faust.StreamT) -> None:
        """One by one."""
        began, read = 0.0, 0
        async for _ in stream:
            began = began or time.perf_counter()
            read += 1
            if read >= records:
                done(began, read, 1)


app.finalize()
faust.Worker(app, loglevel="ERROR", quiet=True).execute_from_commandline()
