"""What happens at times of a scenario: tables of its file that begin, and most of which end, at a moment."""

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

from streams.simulator.parts import ISSUERS, Channel, Moment, NotNegative, Part, Positive, Share


class Closure(Part, frozen=True):
    """The announced time without any service, from the day after the last ordinary day until the launch."""

    label: str
    announced_at: Moment


class Launch(Part, frozen=True):
    """The day on which the new platform opens, and how many ``days`` are played from then on.

    The first day's demand is an ordinary day's times a factor drawn between the two ``pent_up``; of what it exceeds one, each further day keeps
    ``pent_up_kept``. ``visits`` is how many people come to the platform for each purchase that is wanted, to look, register or top up.
    """

    day: date
    days: Annotated[int, msgspec.Meta(ge=1, le=60)] = 1
    pent_up: tuple[Positive, Positive] = (2.0, 3.0)
    pent_up_kept: Share = 0.7
    visits: NotNegative = 8.0

    def __post_init__(self) -> None:
        """Check the order of the two factors."""
        if self.pent_up[0] > self.pent_up[1]:
            raise ValueError(f"pent_up: expected the lower factor first, got {list(self.pent_up)}")


SERVICES = ("login", "payment", "registration", "top_up", "refund")
"""What stands behind the waiting room."""

Rate = Annotated[float, msgspec.Meta(gt=0, le=10_000_000)]


class Capacity(Part, frozen=True):
    """What the platform can take from a moment on, until the next such table: requests a minute at scale 1 (none: whatever comes).

    ``queue`` is how many people the waiting room lets in a minute once it is open; about every ``restart_every_minutes`` of failing the operator
    restarts a part.
    """

    starts_at: Moment
    queue: Rate | None = None
    login: Rate | None = None
    payment: Rate | None = None
    registration: Rate | None = None
    top_up: Rate | None = None
    refund: Rate | None = None
    restart_every_minutes: Positive = 80.0


class Operator(Part, frozen=True):
    """Who ran the platform, from when until when."""

    name: str
    starts_at: Moment
    ends_at: Moment | None = None


class Promotion(Part, frozen=True):
    """A span in which ``factor`` times as much is bought; ``rush`` times an ordinary level comes on top at its start and halves every hour."""

    label: str
    starts_at: Moment
    ends_at: Moment
    factor: Positive
    rush: NotNegative = 0.0

    def __post_init__(self) -> None:
        """Check the order of the times."""
        _in_order(self.starts_at, self.ends_at)


class Incident(Part, frozen=True):
    """A time in which the platform fails.

    Over ``climb_minutes`` the failure rate rises to ``failure_rate`` of payment attempts; then the waiting queue starts and lets the share
    ``admitted`` of buyers through (1: there is none). ``failure_rate`` may be that of some ``regions``, ``channels`` and ``issuers`` (none: all of
    them). About every ``relief_every_minutes`` it works half-way for ``relief_minutes`` (0: never), or wholly with ``relief`` 1.
    With ``announced_at`` it is planned maintenance, announced then; ``code`` is what its failures say (none: a mixture). With ``overload`` its times only say
    for which span the truth sums up what load and capacities make of it.
    """

    starts_at: Moment
    ends_at: Moment
    label: str = ""
    climb_minutes: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 10.0
    failure_rate: Share = 0.6
    admitted: Share = 1.0
    regions: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = ()
    issuers: tuple[str, ...] = ()
    code: Literal["timeout", "unavailable", "network", "internal", "maintenance"] | None = None
    announced_at: Moment | None = None
    relief_every_minutes: NotNegative = 0.0
    relief_minutes: NotNegative = 0.0
    relief: Share = 0.5
    overload: bool = False

    def __post_init__(self) -> None:
        """Check what concerns several fields."""
        _in_order(self.starts_at, self.ends_at)
        if self.announced_at is not None and self.announced_at >= self.starts_at:
            raise ValueError(f"announced_at: expected a time before starts_at {self.starts_at.isoformat()}, got {self.announced_at.isoformat()}")
        if self.scoped and self.admitted < 1:
            raise ValueError(f"admitted: expected 1 where regions, channels or issuers are given, because the queue is everybody's; got {self.admitted}")
        if unknown := [name for name in self.issuers if name not in ISSUERS]:
            raise ValueError(f"issuers: expected some of {', '.join(ISSUERS)}, got {', '.join(unknown)}")

    @property
    def scoped(self) -> bool:
        """Whether it concerns some tries only."""
        return bool(self.regions or self.channels or self.issuers)


def _in_order(starts_at: datetime, ends_at: datetime) -> None:
    if starts_at >= ends_at:
        raise ValueError(f"ends_at: expected a time after starts_at {starts_at.isoformat()}, got {ends_at.isoformat()}")
