"""After an incident buyers come back: for some hours more may be sold than the day's level says, and nobody knows by how much."""

from dataclasses import dataclass

import numpy as np

from warehouse.analysis.panel import Array
from warehouse.analysis.times import Minutes

COMES_BACK = 0.5
"""Standard deviation of the share of what an incident took that is bought in the hours after it."""

HALF_LIFE = 90.0
MOST = 180.0
"""Minutes: how fast that fades, and of how much of the incident, before its end, it is a share."""

REACH = 6 * 60


@dataclass(frozen=True)
class Recovery:
    """Spans that kept buyers from buying, parallel: local minutes ``low`` to ``high``, and the place, -1 for all."""

    low: Minutes
    high: Minutes
    place: Minutes

    @classmethod
    def of(cls, spans: list[tuple[int, int, int | None]]) -> "Recovery":
        """From spans as they are given to a panel."""
        found = np.array([(low, high, -1 if place is None else place) for low, high, place in spans], dtype=np.int64).reshape(-1, 3)
        return cls(*found.T)

    def strays(self, starts: Minutes, lengths: Minutes, share: Array) -> Array:
        """By how much each cell may stand above the level for it, as a relative standard deviation; ``share`` [place] is what each place is of those asked about.

        Of an incident of d minutes what comes back is spread over the time t after it in proportion to ``0.5 ** (t / HALF_LIFE)``.
        """
        if not len(starts):
            return np.zeros(0)
        near = (self.high > starts[0] - REACH) & (self.high <= starts[-1])
        low, high, place = self.low[near], self.high[near], self.place[near]
        lost = np.minimum(high - low, MOST) * np.where(place < 0, 1.0, share[place])
        after = starts + lengths / 2 - high[:, None]
        part = np.where((starts >= high[:, None]) & (after < REACH), 0.5 ** (after / HALF_LIFE), 0.0)
        found: Array = COMES_BACK * np.log(2) / HALF_LIFE * (lost @ part)
        return found
