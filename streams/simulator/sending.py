"""Slices of a scenario to Kafka, at full speed or at a multiple of the clock."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from kafka.errors import KafkaError

from streams.ports import BrokerAwayError, check_answering
from streams.simulator.playing import Slice
from streams.simulator.producing import Line, SendError
from streams.simulator.tally import Tally
from warehouse.access import PLAIN, Access

__all__ = ["Progress", "SendError", "Sent", "send"]

_PROGRESS_SECONDS = 0.2

_TOGETHER = 20_000
"""Records queued before a flush at full speed: bounds memory and hides the broker's answering time."""

_SLICES_TOGETHER = 36


@dataclass(frozen=True)
class Progress:
    """How far sending is: records sent, about how many there are (0: unknown), the scenario's clock, records a second so far."""

    sent: int
    total: int
    scenario_time: datetime
    rate: float


@dataclass(frozen=True)
class Sent:
    """What the broker has acknowledged, by topic of the contract, with ``tally`` from the columns that were sent; ``until`` is the last tick's time.

    Records count duplicates and malformed ones too, the tally's events and KRW do not.
    """

    records: Mapping[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    until: datetime | None = None
    seconds: float = 0.0


def send(
    slices: Iterable[Slice],
    bootstrap: str,
    settings_topic: Callable[[str], str],
    *,
    speed: float | None = None,
    pace_from: datetime | None = None,
    total: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    access: Access = PLAIN,
) -> Sent:
    """Send slices in order; after each one is acknowledged, send the tick that says so to the topic ``clock``.

    With a ``speed``, slices that end after ``pace_from`` (default: all) are sent when their time has come on a clock that runs ``speed`` times as
    fast as the wall's. ``stop`` is asked before each slice and while waiting; a slice is sent whole or not at all.

    Raises:
        SendError: the broker could not be reached or refused a record.
    """
    try:
        check_answering(bootstrap)
    except BrokerAwayError as error:
        raise SendError(str(error)) from None
    line = Line(bootstrap, settings_topic, access)
    began, told = time.monotonic(), 0.0
    paced: tuple[float, datetime] | None = None
    stopped = stop or (lambda: False)
    try:
        for one in slices:
            if speed is not None and (pace_from is None or one.until > pace_from):
                line.confirm()
                paced = paced or (time.monotonic(), one.until)
                _wait_until(paced[0] + (one.until - paced[1]).total_seconds() / speed, stopped)
            if stopped():
                break
            line.put(one)
            if paced is not None or line.waiting >= _TOGETHER or line.slices >= _SLICES_TOGETHER:
                line.confirm()
            now = time.monotonic()
            if on_progress is not None and now - told >= _PROGRESS_SECONDS:
                told = now
                on_progress(Progress(line.count, total, one.until, line.count / max(now - began, 1e-9)))
        line.confirm()
        if on_progress is not None and line.until is not None:
            on_progress(Progress(line.count, total, line.until, line.count / max(time.monotonic() - began, 1e-9)))
        return Sent(dict(line.records), line.tally, line.until, time.monotonic() - began)
    except KafkaError as error:
        raise SendError(f"{bootstrap} stopped taking records after {line.count}: {type(error).__name__}: {error}") from error
    finally:
        line.close()


def _wait_until(moment: float, stopped: Callable[[], bool]) -> None:
    while not stopped() and (left := moment - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
