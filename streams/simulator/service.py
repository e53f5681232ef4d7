"""A service of limited capacity under load, ten seconds at a time."""

from math import exp, isinf, sqrt
from typing import NamedTuple

STEP_SECONDS = 10.0

_SERVICE_SECONDS = 0.4
_CALLER_WAITS_SECONDS = 30.0
_PILE_SECONDS = 25.0
"""The most unserved requests that a service keeps, in seconds of its capacity."""

_NO_WAIT = 0.3
"""Below this share of its capacity a request waits for nobody."""

_SLOWS_AT_SECONDS = 10.0
_CONTENTION = 2.0


class Answers(NamedTuple):
    """What became of a step's requests: shares that timed out and that were refused, and how long an answer took on average, seconds."""

    timed_out: float
    refused: float
    seconds: float

    @property
    def failed(self) -> float:
        """The share that failed."""
        return self.timed_out + self.refused


class Service:
    """A service and the pile of its unserved requests; one object a day, one call of ``serve`` a step.

    Below capacity a request waits as in an M/M/c queue, by Sakasegawa's approximation (1977, https://doi.org/10.1007/BF02911670). Above it the pile grows and
    slows the service: throughput is capacity x n (2 + a) / (1 + a n + n^2), the universal scalability law (Gunther, 2007, "Guerrilla Capacity Planning") with
    its best concurrency at n = 1. Waits count as exponential: what takes longer than the caller waits is a timeout, though its work is done; what finds
    the pile full is refused at once. So a service that has tipped over stays so under a load that it would have carried (Bronson et al., 2021,
    "Metastable failures in distributed systems", https://doi.org/10.1145/3458336.3465286).
    """

    def __init__(self) -> None:
        self._pile = 0.0

    def serve(self, requests: float, a_minute: float) -> Answers:
        """Serve a step's requests with a capacity of ``a_minute``."""
        if isinf(a_minute):
            return Answers(0.0, 0.0, _SERVICE_SECONDS)
        a_second = a_minute / 60
        if not self._pile and requests < _NO_WAIT * a_second * STEP_SECONDS:
            return Answers(0.0, 0.0, _SERVICE_SECONDS)
        n = 1 + self._pile / (a_second * _SLOWS_AT_SECONDS)
        throughput = a_second * STEP_SECONDS * n * (2 + _CONTENTION) / (1 + _CONTENTION * n + n * n)
        unserved = max(0.0, self._pile + requests - throughput)
        pile = min(unserved, a_second * _PILE_SECONDS)
        refused = (unserved - pile) / requests if requests else 0.0
        servers = max(1, round(a_second * _SERVICE_SECONDS))
        load = min(requests / throughput, 0.98)
        waits = _SERVICE_SECONDS * load ** (sqrt(2 * (servers + 1)) - 1) / (servers * (1 - load)) + self._pile / throughput * STEP_SECONDS
        late = exp(-(_CALLER_WAITS_SECONDS - _SERVICE_SECONDS) / waits) if waits > 1 else 0.0  # e^-30 is nobody
        self._pile = pile
        return Answers((1 - refused) * late, refused, _SERVICE_SECONDS + waits)

    def restart(self) -> None:
        """Drop what is in progress."""
        self._pile = 0.0
