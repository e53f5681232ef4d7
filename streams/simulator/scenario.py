"""What is simulated: a scenario, read strictly from a TOML file."""

from datetime import date, datetime, time, timedelta
from importlib import resources
from pathlib import Path
from typing import Annotated, Self, TypeVar
from zoneinfo import ZoneInfo

import msgspec

KST = ZoneInfo("Asia/Seoul")

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
ScenarioT = TypeVar("ScenarioT", bound="Scenario")


class ScenarioError(Exception):
    """A scenario cannot be used; the message names the file, the field, what was expected and what came."""


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a scenario file; unknown fields are refused."""


class Country(Part, frozen=True):
    """The markets. ``merchants`` is their mean number a market; ``market_day_factor`` what a market day carries against another day."""

    markets: Annotated[int, msgspec.Meta(ge=1, le=9999)] = 1400
    merchants: Annotated[int, msgspec.Meta(ge=1, le=2000)] = 40
    cycle_share: Share = 0.30
    market_day_factor: Positive = 4.0


class Demand(Part, frozen=True):
    """What buyers want on an ordinary day at scale 1; ``mean_amount`` is KRW a purchase, ``noise`` the spread of a day's national level."""

    purchases_a_day: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 76_000
    mean_amount: Annotated[float, msgspec.Meta(ge=2_000, le=1_000_000)] = 25_000.0
    card_share: Annotated[float, msgspec.Meta(ge=0.1, le=0.9)] = 0.55
    noise: Share = 0.03


class Platform(Part, frozen=True):
    """What the platform does on an ordinary day, as shares of attempts (reversals: of approvals; late approvals: of timeouts)."""

    failure_rate: Share = 0.005
    decline_rate: Share = 0.03
    reversal_rate: Share = 0.007
    late_approval_share: Share = 0.08


class Closure(Part, frozen=True):
    """The announced time without any service, from the day after the last ordinary day until the launch."""

    label: str
    announced_at: Moment


class Launch(Part, frozen=True):
    """The day on which the new platform opens. Its demand is an ordinary day's times a factor drawn between the two ``pent_up``."""

    day: date
    pent_up: tuple[Positive, Positive] = (2.0, 3.0)

    def __post_init__(self) -> None:
        """Check the order of the two factors."""
        if self.pent_up[0] > self.pent_up[1]:
            raise ValueError(f"pent_up: expected the lower factor first, got {list(self.pent_up)}")


class Operator(Part, frozen=True):
    """Who ran the platform, from when until when."""

    name: str
    starts_at: Moment
    ends_at: Moment | None = None


class Incident(Part, frozen=True):
    """A time in which the platform fails. Times are aware.

    Over ``climb_minutes`` the failure rate rises to ``failure_rate`` of payment attempts; then the waiting queue starts and lets the share
    ``admitted`` of buyers through. About every ``relief_every_minutes`` it works half-way for ``relief_minutes`` (0: never).
    """

    starts_at: Moment
    ends_at: Moment
    climb_minutes: Annotated[float, msgspec.Meta(ge=0, le=1440)] = 10.0
    failure_rate: Share = 0.6
    admitted: Share = 0.3
    relief_every_minutes: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    relief_minutes: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    def __post_init__(self) -> None:
        """Check the order of the times."""
        if self.starts_at >= self.ends_at:
            raise ValueError(f"ends_at: expected a time after starts_at {self.starts_at.isoformat()}, got {self.ends_at.isoformat()}")


class Scenario(Part, frozen=True):
    """A timeline: ordinary days, then perhaps a closure and a launch day. Days are days in Asia/Seoul.

    ``hours`` are the first and the last hour of a day in which anybody buys. ``scale`` multiplies the number of purchases.
    """

    name: str
    label: str
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    last_ordinary_day: date
    history_days: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 28
    scale: Annotated[float, msgspec.Meta(gt=0, le=100)] = 1.0
    hours: tuple[Annotated[int, msgspec.Meta(ge=0, le=23)], Annotated[int, msgspec.Meta(ge=1, le=24)]] = (0, 24)
    country: Country = Country()
    demand: Demand = Demand()
    platform: Platform = Platform()
    closure: Closure | None = None
    launch: Launch | None = None
    operators: tuple[Operator, ...] = ()
    incident: tuple[Incident, ...] = ()

    def __post_init__(self) -> None:
        """Check what concerns several fields."""
        if self.hours[0] >= self.hours[1]:
            raise ValueError(f"hours: expected the first hour before the last, got {list(self.hours)}")
        if self.launch is None and (self.history_days == 0 or self.closure is not None):
            raise ValueError("launch: expected a [launch] table where history_days is 0 or a [closure] is given, got none")
        if self.launch is not None and self.launch.day <= self.last_ordinary_day:
            raise ValueError(f"launch.day: expected a day after last_ordinary_day {self.last_ordinary_day}, got {self.launch.day}")

    @property
    def days(self) -> tuple[date, ...]:
        """The days with service, in order."""
        history = [self.last_ordinary_day - timedelta(days=back) for back in range(self.history_days - 1, -1, -1)]
        return (*history, *([self.launch.day] if self.launch else []))

    def opens(self, day: date) -> datetime:
        """When the first purchase of a day may happen."""
        return datetime.combine(day, time(), KST) + timedelta(hours=self.hours[0])

    def closes(self, day: date) -> datetime:
        """The end (exclusive) of everything on a day."""
        return datetime.combine(day, time(), KST) + timedelta(hours=self.hours[1])

    @property
    def start(self) -> datetime:
        """The beginning of the timeline."""
        return self.opens(self.days[0])

    @property
    def end(self) -> datetime:
        """The end (exclusive) of the timeline."""
        return self.closes(self.days[-1])

    @property
    def live_from(self) -> datetime:
        """Where the history ends and what people come to watch begins: the launch, else the start."""
        return self.opens(self.launch.day) if self.launch else self.start

    @property
    def closed(self) -> tuple[datetime, datetime] | None:
        """The announced time without service, or None."""
        if self.closure is None or self.launch is None:
            return None
        return (datetime.combine(self.last_ordinary_day + timedelta(days=1), time(), KST), datetime.combine(self.launch.day, time(), KST))

    def with_(self, **changes: object) -> Self:
        """The same scenario with other values, checked as a file's are.

        Raises:
            ScenarioError: a value cannot be used.
        """
        given = {**msgspec.structs.asdict(self), **{name: value for name, value in changes.items() if value is not None}}
        return _convert(msgspec.to_builtins(given, builtin_types=(datetime, date)), type(self), f"scenario {self.name}")


def shipped() -> list[str]:
    """The names of the scenarios that come with the simulator."""
    folder = resources.files("streams.simulator").joinpath("scenarios")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_scenario(name_or_path: str | Path, *, seed: int | None = None, scale: float | None = None, history_days: int | None = None) -> Scenario:
    """Read a shipped scenario by its name, or any by the path of its TOML file; the arguments win over the file.

    Raises:
        ScenarioError: there is no such scenario, or a field cannot be used; the message names file and field.
    """
    if str(name_or_path).endswith(".toml"):
        path, origin = Path(name_or_path), str(name_or_path)
        if not path.is_file():
            raise ScenarioError(f"{origin}: there is no such file. Shipped scenarios go by name: {', '.join(shipped())}.")
        raw = path.read_bytes()
    elif name_or_path in shipped():
        origin = f"{name_or_path}.toml"
        raw = resources.files("streams.simulator").joinpath("scenarios", origin).read_bytes()
    else:
        raise ScenarioError(f"There is no scenario {str(name_or_path)!r}. Shipped: {', '.join(shipped())}. An own one is given as the path of a .toml file.")
    try:
        table = msgspec.toml.decode(raw)
    except msgspec.DecodeError as error:
        raise ScenarioError(f"{origin}: this is not TOML: {error}") from None
    return _convert(table, Scenario, origin).with_(seed=seed, scale=scale, history_days=history_days)


def _convert(table: object, kind: type[ScenarioT], origin: str) -> ScenarioT:
    try:
        return msgspec.convert(table, kind, strict=True)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `")
        field = place.rstrip("`").removeprefix("$").removeprefix(".")
        raise ScenarioError(f"{origin}: {f'field {field}: ' if field else ''}{reason}") from None
