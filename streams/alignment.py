"""Which partitions are read on: those whose records were sent the earliest, so that a backlog is worked off in the order of time. Pure.

Partitions hold different amounts of the same hour, and a fetch brings as much of each. Read as they come, they drift apart by as much as the backlog is long:
a batch would spread over days, be added to hours that were written before, and have their files published again and again. Kafka Streams does the same
(KIP-353), Flink calls it watermark alignment. It is about speed alone: nothing depends on the order, and nobody is waited for in vain.
"""

from collections.abc import Mapping

from faust.types import TP

AHEAD_MS = 3_600_000
"""Partitions may be so far ahead of the last of them."""

PATIENCE_SECONDS = 1.0
"""So long nothing may come of those that all others wait for: their broker may be away."""


class Alignment:
    """How far partitions have been read, by when their records were sent, in epoch milliseconds. ``now`` is a clock in seconds that never goes back."""

    def __init__(self) -> None:
        self.reached: dict[TP, int] = {}
        self.awaited: set[TP] = set()
        self.waiting_since = 0.0
        self.given_up: set[TP] = set()
        """Waited for in vain: nobody waits for these until they bring something."""

    def wanted(self, active: set[TP], unread: set[TP], now: float) -> set[TP]:
        """Of the ``active`` partitions those that may be read now, at least one; ``unread`` are those that are known to hold more."""
        last = {tp: self.reached[tp] for tp in active & unread - self.given_up if tp in self.reached}
        if not last:
            self.awaited = set()
            return active
        until = min(last.values()) + AHEAD_MS
        held = {tp for tp in active if self.reached.get(tp, until) > until}
        if held and not self.awaited:
            self.waiting_since = now
        self.awaited = {tp for tp, at in last.items() if at <= until} if held else set()
        return active - held

    def brought(self, found: Mapping[TP, int], now: float) -> None:
        """What a fetch brought: by partition, when its newest record was sent, 0 where it does not tell. Others than these may have brought something too."""
        self.reached.update({tp: at for tp, at in found.items() if at > 0})
        self.given_up -= set(found)
        if found:
            self.awaited = set()
        elif now - self.waiting_since >= PATIENCE_SECONDS:
            self.given_up |= self.awaited
