"""What is simulated: a scenario, read strictly from a TOML file."""

from datetime import date, datetime, time, timedelta
from importlib import resources
from pathlib import Path
from typing import Annotated, Self, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from streams.simulator.happenings import Capacity, Closure, Incident, Launch, Operator, Promotion
from streams.simulator.lines import field_named, line_of
from streams.simulator.parts import Country, Demand, Part, Platform, World

KST = ZoneInfo("Asia/Seoul")

ScenarioT = TypeVar("ScenarioT", bound="Scenario")


class ScenarioError(Exception):
    """A scenario cannot be used; the message names the file, line and field, what was expected and what came."""


class Scenario(Part, frozen=True):
    """A timeline: ordinary days, then perhaps a closure and a launch. Days are days in Asia/Seoul.

    ``last_ordinary_day`` ends the ``history_days``; without a launch it ends everything. ``hours`` are the first and the last hour of a day in which
    anybody buys. ``scale`` multiplies the number of purchases.
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
    promotion: tuple[Promotion, ...] = ()
    incident: tuple[Incident, ...] = ()
    capacity: tuple[Capacity, ...] = ()
    world: World = World()

    def __post_init__(self) -> None:
        """Check what concerns several fields."""
        if self.hours[0] >= self.hours[1]:
            raise ValueError(f"hours: expected the first hour before the last, got {list(self.hours)}")
        if self.launch is None and (self.history_days == 0 or self.closure is not None):
            raise ValueError("launch: expected a [launch] table where history_days is 0 or a [closure] is given, got none")
        if self.launch is not None and self.launch.day <= self.last_ordinary_day:
            raise ValueError(f"launch.day: expected a day after last_ordinary_day {self.last_ordinary_day}, got {self.launch.day}")

        moments = [one.starts_at for one in self.capacity]
        if moments != sorted(set(moments)):
            raise ValueError(f"capacity: expected starts_at in order, got {', '.join(moment.isoformat() for moment in moments)}")
        if not self.capacity and any(incident.overload for incident in self.incident):
            raise ValueError("incident: expected a [[capacity]] table where an incident says overload, got none")

    @property
    def days(self) -> tuple[date, ...]:
        """The days with service, in order."""
        history = [self.last_ordinary_day - timedelta(days=back) for back in range(self.history_days - 1, -1, -1)]
        launched = [self.launch.day + timedelta(days=after) for after in range(self.launch.days)] if self.launch else []
        return (*history, *launched)

    def launched(self, day: date) -> bool:
        """Whether the new platform serves this day."""
        return self.launch is not None and day >= self.launch.day

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
        """Where the history ends and what people come to watch begins: the launch, else the day of the first incident, else the start."""
        if self.launch:
            return self.opens(self.launch.day)
        if not self.incident:
            return self.start
        first = min(incident.starts_at for incident in self.incident).astimezone(KST).date()
        return self.opens(min(max(first, self.days[0]), self.days[-1]))

    @property
    def closed(self) -> tuple[datetime, datetime] | None:
        """The announced time without service, or None."""
        if self.closure is None or self.launch is None:
            return None
        return (datetime.combine(self.last_ordinary_day + timedelta(days=1), time(), KST), datetime.combine(self.launch.day, time(), KST))

    def with_(self, **changes: object) -> Self:
        """The same scenario with other values, checked as a file's are; a value of None changes nothing.

        Raises:
            ScenarioError: a value cannot be used.
        """
        given = {**msgspec.structs.asdict(self), **{name: value for name, value in changes.items() if value is not None}}
        return _convert(msgspec.to_builtins(given, builtin_types=(datetime, date)), type(self), f"scenario {self.name}")


def shipped() -> list[str]:
    """The names of the scenarios that come with the simulator."""
    folder = resources.files("streams.simulator").joinpath("scenarios")
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def load_scenario(
    name_or_path: str | Path, *, seed: int | None = None, scale: float | None = None, history_days: int | None = None, markets: Path | None = None
) -> Scenario:
    """Read a shipped scenario by its name, or any by the path of its TOML file; the arguments win over the file.

    ``markets`` is a market list in CSV to take as the country. A list that a file names stands beside that file, unless its path is absolute.

    Raises:
        ScenarioError: there is no such scenario, or a field cannot be used; the message names file, line and field.
    """
    if str(name_or_path).endswith(".toml"):
        path, origin = Path(name_or_path), str(name_or_path)
        if not path.is_file():
            raise ScenarioError(f"{origin}: there is no such file. Shipped scenarios go by name: {', '.join(shipped())}.")
        raw = path.read_bytes()
    elif name_or_path in shipped():
        path, origin = Path(), f"{name_or_path}.toml"
        raw = resources.files("streams.simulator").joinpath("scenarios", origin).read_bytes()
    else:
        raise ScenarioError(f"There is no scenario {str(name_or_path)!r}. Shipped: {', '.join(shipped())}. An own one is given as the path of a .toml file.")
    try:
        text = raw.decode()
        table = msgspec.toml.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{origin}: this is not TOML: {error}") from None
    read = _convert(table, Scenario, origin, text)
    listed = markets or (path.parent / read.country.file if read.country.file else None)
    country = msgspec.structs.replace(read.country, file=str(listed)) if listed else None
    return read.with_(seed=seed, scale=scale, history_days=history_days, country=country)


def _convert(table: object, kind: type[ScenarioT], origin: str, text: str = "") -> ScenarioT:
    try:
        return msgspec.convert(table, kind, strict=True)
    except msgspec.ValidationError as error:
        reason, place, field = field_named(str(error))
        line = line_of(text, field) if text else None
        where = f"{f'line {line}: ' if line else ''}{f'field {place}: ' if place else ''}"
        raise ScenarioError(f"{origin}: {where}{reason}") from None
