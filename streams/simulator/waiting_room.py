"""The waiting room before a service: who is in it, who is let in, who leaves."""

from math import exp, isinf, log1p

STEP_MINUTES = 1 / 6

BUYERS_WAIT, VISITORS_WAIT = 15.0, 20.0
"""How long people wait on average before they leave, minutes. Assumed: no source is known."""

_OPENS_AFTER, _CLOSES_AFTER = 30, 60
"""Steps in a row in which too much fails, or hardly anything, and nobody waits."""


class WaitingRoom:
    """A fluid queue with abandonment, switched on and off by what fails behind it; one object a day, one call of each method a step.

    Somebody who finds ``length`` people before him waits theta ln(1 + length / (rate theta)): those before him leave too (Whitt, 2006,
    "Fluid models for multiserver queues with abandonments", https://doi.org/10.1287/opre.1050.0227).
    """

    def __init__(self) -> None:
        self.open = False
        self.length = 0.0
        self._bad = self._good = 0

    def wait(self, rate: float) -> float:
        """Minutes that somebody who comes now will wait; ``rate`` people are let in a step."""
        if not self.open or isinf(rate):
            return 0.0
        a_minute = rate / STEP_MINUTES
        return VISITORS_WAIT * log1p(self.length / (a_minute * VISITORS_WAIT))

    def come(self, people: float) -> None:
        """Let people come; while the room is closed they walk through."""
        if self.open:
            self.length += people

    def let_in(self, people: float) -> None:
        """Let some leave because they have had enough, and at most so many in."""
        self.length = max(0.0, self.length * exp(-STEP_MINUTES / VISITORS_WAIT) - people)

    def look(self, failing: float) -> None:
        """Open or close by the share of requests that failed in this step."""
        self._bad = self._bad + 1 if failing > 0.3 else 0  # the only place where this is decided
        self._good = self._good + 1 if failing < 0.05 and self.length < 1 else 0  # as above
        if self._bad >= _OPENS_AFTER:
            self.open = True
        elif self._good >= _CLOSES_AFTER:
            self.open = False
