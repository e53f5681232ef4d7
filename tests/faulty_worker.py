"""``onnuri worker`` with a fault: ``FAULT="kill committed 7" python -m tests.faulty_worker``.

Our own functions are wrapped in this process only, so that nothing in them knows of faults. A fault is ``what where how``:

- ``kill written 3``: kill -9 of itself at the third passing of ``written``;
- ``raise decoded 2``: an exception at the second;
- ``stop written 3``: freezes itself at the third, until somebody wakes it;
- ``delay statement 0.5 300``: half a second at every passing from the 300th on, like a disk that has become slow;
- ``hang sought 2 45``: the second seek takes as many seconds longer. Where it is an hour, the worker's patience with that is fifteen seconds.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Self, TypeVar

from streams import cli, worker
from streams.letters import Letters
from streams.line import Line
from streams.transport import ChunkConsumer, ChunkThread
from warehouse import ingest, lake_writer, publishing

T = TypeVar("T")

STEPS = ("fetched", "sought", "decoded", "begun", "statement", "letters", "written", "committed", "telling", "file", "copied", "manifest", "published")
"""Where a fault can be, in the order of a batch. The last four are publishing's."""


SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


class Fault:
    """What happens where, and when."""

    def __init__(self, what: str, where: str, how: str, since: str = "0") -> None:
        assert where in STEPS, where
        self.what, self.where, self.how, self.since = what, where, float(how), int(since)
        self.passes = 0
        self.hangs = False

    def passed(self, where: str) -> None:
        if where != self.where:
            return
        self.passes += 1
        if self.what == "delay":
            if self.passes == self.since:
                print(f"slow from here on: {where}", file=sys.stderr, flush=True)
            time.sleep(self.how if self.passes >= self.since else 0)
        elif self.passes == self.how:
            if self.what in SIGNALS:
                os.kill(os.getpid(), SIGNALS[self.what])
                return
            if self.what == "hang":
                self.hangs = True
                return
            raise RuntimeError(f"a fault at {where}")


class Connection:
    """A DuckDB connection that passes the steps of a transaction."""

    def __init__(self, inner: Any, fault: Fault) -> None:
        self.inner, self.fault = inner, fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.inner.close()

    def cursor(self) -> "Connection":
        return Connection(self.inner.cursor(), self.fault)

    def execute(self, *arguments: Any, **named: Any) -> Any:
        self.fault.passed("statement")
        return self.inner.execute(*arguments, **named)

    def begin(self) -> None:
        self.inner.begin()
        self.fault.passed("begun")

    def commit(self) -> None:
        self.fault.passed("written")
        self.inner.commit()
        self.fault.passed("committed")


def install(fault: Fault) -> None:
    """Wrap what the steps are named after."""

    def wrap(owner: Any, name: str, before: str = "", after: str = "", result: Callable[[Any], Any] = lambda found: found) -> None:
        function = getattr(owner, name)

        @wraps(function)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            fault.passed(before)
            found = function(*arguments, **named)
            fault.passed(after)
            return result(found)

        setattr(owner, name, wrapped)

    wrap(ChunkThread, "_fetch_records", before="fetched")
    if (fault.what, fault.since) == ("hang", 3600):
        worker.PATIENCE_SECONDS = 15
    wrap(ChunkConsumer, "seek_to_committed", before="sought", result=lambda seeking: _later(fault, seeking))
    for owner, opens in ((ingest, "open_file"), (lake_writer, "open_lake")):
        wrap(owner, opens, result=lambda connection: Connection(connection, fault))
    wrap(Line, "_on_decoder", after="decoded")
    wrap(Letters, "send_dead", after="letters")
    wrap(ChunkThread, "_commit", before="telling")
    wrap(publishing.Publisher, "_copy", before="file", after="copied")
    wrap(publishing, "_replace", before="manifest", after="published")


async def _later(fault: Fault, work: Coroutine[Any, Any, T]) -> T:
    if fault.hangs:
        # An hour is for ever: nothing after it gets through either.
        fault.hangs = fault.since == 3600
        await asyncio.sleep(fault.since)
    return await work


if __name__ == "__main__":
    install(Fault(*os.environ["FAULT"].split()))
    sys.argv[1:] = ["worker"]
    cli.main()
