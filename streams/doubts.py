"""Whose logs are to be looked at before they are read on: a broker that comes back, or another that leads, may lack the end of what was read, and have given its offsets to others.

A broker that is back within its session leads on under the same epoch, so the connection tells; where another one leads, the epochs that batches carry do. Pure.
"""

import logging
from collections.abc import Callable, Iterable, Mapping

from faust.types import TP

log = logging.getLogger(__name__)


class Doubts:
    """The partitions in doubt, from the fetch that tells until the next look at all logs."""

    def __init__(self) -> None:
        self.partitions: set[TP] = set()
        self.leaders: dict[TP, int] = {}
        """The epoch of each partition's leader when it was looked at or read last."""
        self.connections: dict[int, object] = {}
        """The newest to each broker."""

    def begin_look(self) -> None:
        """All logs are looked at from here on. What changes meanwhile is for the next look."""
        self.partitions.clear()

    def found(self, leaders: Mapping[TP, int]) -> None:
        """The epochs that a look found; what comes may have told of newer ones already, which are doubted once."""
        self.leaders = {**leaders, **self.leaders}

    def connected(self, connections: Mapping[int, object], active: Iterable[TP], leader_of: Callable[[TP], int | None]) -> None:
        """The connections by which the last fetch came, by broker. What a broker leads that is connected anew is doubted, and what nobody is known to lead."""
        anew = {node for node, made in connections.items() if self.connections.get(node, made) is not made}
        self.connections.update(connections)
        if anew:
            log.info("Connected anew to %s: what was read before is compared", anew)
            self.partitions.update(tp for tp in active if leader_of(tp) in {None, -1, *anew})

    def came(self, tp: TP, offset: int, leaders: tuple[int, int]) -> None:
        """Records from this offset on, which leaders of these epochs took, the first and the last.

        Where leaders change within a fetch, what is before the change is in the new one's log.
        """
        first, last = leaders
        before, self.leaders[tp] = self.leaders.get(tp, first), last
        if first > before:
            log.info("%s has another leader from offset %s on: what was read before that is compared", tp, offset)
            self.partitions.add(tp)
