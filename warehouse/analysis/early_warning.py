"""Whether the load is on course to pass the proven capacity within the hour: a notice before failures begin."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from warehouse.analysis.calendar import types_of
from warehouse.analysis.capacity import FAILING, FEWEST, FRESH_MINUTES, normal_distribution
from warehouse.analysis.errors import AnalysisError, HistoryError, need_columns
from warehouse.analysis.panel import Array, Codes
from warehouse.analysis.times import DAY, date_of, minute_of, minutes_of, moment_of

NEAREST, FARTHEST = 10, 60
"""Minutes ahead."""

LATELY = 30
SLOT = 10
SURE = 0.5
"""A notice is given where passing is likelier than not, and kept up for ``KEPT`` minutes before it can be given again."""

KEPT = 180
STRAYS = 0.05
"""The least spread of a forecast of minutes, as a standard deviation of its logarithm."""


@dataclass(frozen=True)
class Notice:
    """``at``: given; ``expected_at``: when the load is expected to pass (naive, Seoul); ``expected``: the most within the hour, requests a minute; ``probability`` of passing."""

    at: datetime
    expected_at: datetime
    expected: float
    capacity: float
    probability: float


@dataclass(frozen=True)
class Course:
    """How the load of a kind of day moves: ``shape`` [slot of ten minutes], and by how much forecasts so made were off: ``strays`` [slots ahead]."""

    shape: Array
    strays: Array

    def ahead(self, load: Array, minute: int) -> tuple[Array, Array]:
        """Mean and standard deviation of the logarithm of the load in each of the next ten-minute slots, from ``load`` [minute of the day] up to ``minute``."""
        lately = float(load[max(minute - LATELY, 0) : minute].mean())
        usual = float(_at(self.shape, np.arange(max(minute - LATELY, 0), minute)).mean())
        slots = minute + np.arange(NEAREST, FARTHEST + 1, SLOT)
        level = lately / max(usual, 1e-9)
        return np.log(np.maximum(level * _at(self.shape, np.minimum(slots, DAY - 1)), 1e-9)), self.strays


def course(history: pl.DataFrame, day: datetime, *, calendar: pl.DataFrame | None = None) -> Course:
    """Learn from minutes ``minute_at`` (aware, or naive in Seoul) and ``attempts`` of days before that of ``day``; days of the same kind, all where there are fewer than three.

    Raises:
        HistoryError: no whole day is known.
    """
    need_columns(history, "history", ("minute_at", "attempts"))
    today = minute_of(day, "day") // DAY
    minute = minutes_of(history["minute_at"], "history: minute_at")
    known = minute // DAY < today
    minute, attempts = minute[known], history["attempts"].to_numpy()[known].astype(float)
    if not len(minute):
        raise HistoryError("history: expected minutes of days before, got none.")
    first = int(minute.min()) // DAY
    count = today - first
    slots = np.bincount((minute // DAY - first) * (DAY // SLOT) + minute % DAY // SLOT, attempts, count * (DAY // SLOT)).reshape(count, -1) / SLOT
    whole = np.flatnonzero((slots > 0).mean(axis=1) > 0.5)
    if not len(whole):
        raise HistoryError("history: expected a whole day before, got none.")
    kinds = types_of([date_of(first + int(n)) for n in whole] + [date_of(today)], calendar)
    alike = whole[[kind == kinds[-1] for kind in kinds[:-1]]]
    chosen = alike if len(alike) >= 3 else whole
    shares = slots[chosen] / slots[chosen].sum(axis=1, keepdims=True)
    shape = shares.mean(axis=0)
    return Course(shape, _strays(slots[chosen], shape))


def notices(load: pl.DataFrame, known: Course, capacity: float, *, until: datetime | None = None) -> list[Notice]:
    """The notices of one day, minute by minute as they would have been given; ``load``: ``minute_at``, ``attempts`` of that day, and ``failed`` where it is known.

    Once it fails nothing is left to warn of, and for hours attempts are retries: no notice is given then.

    Raises:
        FrameError: a column is missing.
        AnalysisError: the capacity is not above 0, or the load is of several days.
    """
    need_columns(load, "load", ("minute_at", "attempts"))
    if not capacity > 0:
        raise AnalysisError(f"capacity: expected requests a minute above 0, got {capacity}. Without a proven capacity there is nothing to warn of.")
    if load.is_empty():
        return []
    minute = minutes_of(load["minute_at"], "load: minute_at")
    day = int(minute.min()) // DAY
    if int(minute.max()) // DAY != day:
        raise AnalysisError("load: expected minutes of one day, got several. Ask day by day.")
    values = np.bincount(minute - day * DAY, load["attempts"].to_numpy().astype(float), DAY).astype(np.float64)
    last = min(int(minute.max()) - day * DAY + 1, minute_of(until, "until") - day * DAY if until else DAY)
    lost = np.bincount(minute - day * DAY, load["failed"].to_numpy().astype(float), DAY) if "failed" in load.columns else np.zeros(DAY)
    failing = np.flatnonzero((lost >= FEWEST) & (lost > FAILING * values))
    found: list[Notice] = []
    quiet_until = 0
    for now in range(2 * LATELY, last):
        if now < quiet_until or ((failing < now) & (failing >= now - FRESH_MINUTES)).any() or values[now - LATELY : now].sum() < LATELY:
            continue
        mean, spread = known.ahead(values, now)
        chance = 1 - normal_distribution((np.log(capacity) - mean) / spread)
        most = int(np.argmax(chance))
        if chance[most] >= SURE:
            at = day * DAY + now
            found.append(
                Notice(moment_of(at), moment_of(at + int(np.argmax(chance >= SURE)) * SLOT + NEAREST), float(np.exp(mean.max())), capacity, float(chance[most]))
            )
            quiet_until = now + KEPT
    return found


def _strays(days: Array, shape: Array) -> Array:
    """By how much the slots ahead were off, each from what the three before would have said, at the hours when there is load."""
    back, ahead = LATELY // SLOT, FARTHEST // SLOT
    busy = np.flatnonzero(shape > shape.max() / 4)
    found = np.full(ahead, STRAYS)
    if len(days) < 3:
        return found * np.sqrt(1 + np.arange(ahead))
    for far in range(1, ahead + 1):
        errors = [
            np.log(
                np.maximum(days[:, slot], 1e-9)
                / np.maximum(
                    days[:, slot - far - back + 1 : slot - far + 1].mean(axis=1) * shape[slot] / shape[slot - far - back + 1 : slot - far + 1].mean(), 1e-9
                )
            )
            for slot in busy
            if slot - far - back + 1 >= 0
        ]
        if errors:
            found[far - 1] = max(float(np.sqrt((np.concatenate(errors) ** 2).mean())), STRAYS)
    return found


def _at(shape: Array, minutes: Codes) -> Array:
    """The shape at minutes of the day, straight between the middles of its slots."""
    found: Array = np.interp(minutes, np.arange(len(shape)) * SLOT + SLOT / 2, shape)
    return found
