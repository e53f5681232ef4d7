"""How fresh and how complete the published state is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from warehouse.reading import Manifest

STALE_AFTER = timedelta(seconds=30)

BEHIND_AFTER = timedelta(minutes=15)
"""How far the newest complete minute may lie behind the line's clock while what it shows is still told as the present. Live it is a minute or two; a replay
runs on a clock of its own, at sixty times the wall's in the demo, and what a worker needs to read, close and publish is then some minutes of it."""


@dataclass(frozen=True)
class Freshness:
    """The line's state as its last manifest tells it; counts are events, ``None`` where the manifest has none."""

    watermark: datetime | None
    now: datetime
    published_at: datetime
    age: timedelta
    lag: int | None
    counts: Mapping[str, int | None]
    lost_ranges: Sequence[Mapping[str, Any]] = ()

    @property
    def stale(self) -> bool:
        """The state is old: the worker is down, or cannot publish."""
        return self.age > STALE_AFTER

    @property
    def present_known(self) -> bool:
        """Whether the state tells of the present: it is published anew, and complete nearly up to the line's clock, which it is not while a backlog is read."""
        return not self.stale and self.watermark is not None and self.now - self.watermark <= BEHIND_AFTER

    @property
    def cut_off(self) -> timedelta | None:
        """Where no broker tells how much is still to be read: how old the newest complete minute is, by the line's clock."""
        return max(self.now - self.watermark, timedelta(0)) + self.age if self.lag is None and self.watermark else None

    @property
    def lost(self) -> int:
        """Events that vanished from Kafka before they were read."""
        return self.counts["lost"] or 0


def freshness_of(manifest: Manifest, wall: datetime) -> Freshness:
    """The freshness of ``manifest`` at the wall clock ``wall`` (aware)."""
    counts = {name: manifest.totals.get(name) for name in ("accepted", "duplicate", "late", "refused", "lost")}
    return Freshness(manifest.watermark, manifest.now, manifest.published_at, max(manifest.age(wall), timedelta(0)), manifest.lag, counts, manifest.lost_ranges)
