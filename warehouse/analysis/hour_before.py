"""Whether the hour before a window was unlike the hours before it: what tells of a day most would tell the wrong thing then."""

import numpy as np

from warehouse.analysis.bands import NOTABLE, Bands, Wider
from warehouse.analysis.times import DAY
from warehouse.analysis.windows import Situation, ask, past_windows

SURE = 0.98
"""Probability of the interval that must exclude what was sold: of ordinary hours one in fifty is told by chance."""

SLIGHT = 0.05
"""A share of what was expected that is not looked into: so much moves a loss less than its interval."""

LEAST_LEVEL = 0.05
"""Of an hour in which nothing was sold: an ordinary day is twentyfold what is expected after it, and not without end."""


def strayed_before(situation: Situation, first: int, lead: int) -> float | None:
    """By what share of the expected the ``lead`` minutes before ``first`` sold more (above 0) or less than the hours before them say, where their own interval excludes that it is chance.

    Sales that were missing already belong to the incident; of a rush or one great payment nobody knows whether it went on. None where neither is so or
    nothing is known of that time, and where buyers may have come back after another incident, as that is reckoned with.
    """
    panel, start = situation.panel, first - lead
    inside = (panel.starts >= start) & (panel.starts < first)
    if start < panel.first_day * DAY or not inside.any() or not panel.seen.ravel()[inside].all():
        return None
    found, hit = ask(situation, start, first), situation.hit
    expected, observed = float(found.expected[hit].sum()), float(found.observed[hit].sum())
    if expected <= 0 or abs(observed - expected) < SLIGHT * expected or found.unsure > NOTABLE:
        return None
    past = past_windows(situation, start, first, (0,))
    kind = int(situation.learner.kinds[start // DAY - panel.first_day])
    places = np.flatnonzero(hit)
    low, high = Bands(past, kind, 1, SURE, Wider(), None).of(np.ones((len(places), 1)), places)
    stray = observed / expected - 1
    return stray if stray < low[0] or stray > high[0] else None


def other_levels(stray: float | None, level: float) -> tuple[float, float]:
    """Factors of the expectation, at most 1 and at least 1, that bring today's ``level`` to an ordinary day's, where what strayed before the window moved it away from that."""
    if stray is None or (stray < 0) != (level < 1):
        return 1.0, 1.0
    back = 1 / max(level, LEAST_LEVEL)
    return min(back, 1.0), max(back, 1.0)
