"""Whether the wall clock goes as it should: one wrong look at it would close minutes that are still to come, and let all events go. Pure."""

import math
from dataclasses import dataclass

JUMP_SECONDS = 60
"""A wall clock that gains or loses more against the monotonic one between two looks has jumped: NTP sets it in smaller steps, or slowly."""

CLOSES_AFTER, DELETES_AFTER = 600, 86_400
"""Seconds without another jump after which it is believed: soon for closing minutes, which costs false incidents at the most; late for deleting, which cannot be undone."""


@dataclass
class Steadiness:
    """Looks at both clocks, and remembers the last jump."""

    ahead: float | None = None
    """By how much the wall clock was ahead of the monotonic one, s."""
    jumped_at: float = -math.inf
    """On the monotonic clock."""

    def look(self, wall: float, monotonic: float) -> tuple[float, float]:
        """Take note of both clocks, s; how far the wall clock has jumped since the last look (0: it has not), and since when it has gone steadily (``inf``: always)."""
        ahead = wall - monotonic
        jumped = 0.0 if self.ahead is None or abs(ahead - self.ahead) <= JUMP_SECONDS else ahead - self.ahead
        if jumped:
            self.jumped_at = monotonic
        self.ahead = ahead
        return jumped, monotonic - self.jumped_at
