"""What was asked, as values: each parameter says what it takes, and what is wrong is said in one sentence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from dashboard.formatting import SEOUL
from warehouse.analysis.asked import HIGHEST_LEVEL, level_of
from warehouse.analysis.errors import AnalysisError

MOST = 10_000
"""Rows of one answer at the most."""


class BadParameterError(ValueError):
    """A parameter cannot be used: which, what was expected, what came."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


@dataclass(frozen=True)
class Parameter:
    """One parameter of the query: how it is read, and how OpenAPI calls it. ``default`` None without ``required``: not given."""

    name: str
    about: str
    read: Callable[[str], Any]
    schema: Mapping[str, Any]
    default: Any = None
    required: bool = False


def whole(name: str, about: str, low: int, high: int, default: int) -> Parameter:
    """A whole number from ``low`` to ``high``."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or len(text) > 12 or not low <= int(text) <= high:
            raise BadParameterError(name, f"{name}: expected a whole number from {low} to {high}, got {text!r}. Example: {name}={default}")
        return int(text)

    return Parameter(name, about, read, {"type": "integer", "minimum": low, "maximum": high, "default": default}, default)


def share(name: str, about: str, default: float) -> Parameter:
    """A share between 0 and 1 that an interval may have."""

    def read(text: str) -> float:
        try:
            return level_of(float(text))
        except (ValueError, AnalysisError):
            said = f"{name}: expected a share between 0 and 1, at most {HIGHEST_LEVEL}, got {text!r}. Example: {name}={default}"
            raise BadParameterError(name, said) from None

    return Parameter(name, about, read, {"type": "number", "exclusiveMinimum": 0, "maximum": HIGHEST_LEVEL, "default": default}, default)


def one_of(name: str, about: str, choices: Sequence[str], default: str | None = None) -> Parameter:
    """One word of a list."""

    def read(text: str) -> str:
        if text not in choices:
            raise BadParameterError(name, f"{name}: expected one of {', '.join(choices)}, got {text!r}.")
        return text

    return Parameter(name, about, read, {"type": "string", "enum": list(choices), **({"default": default} if default else {})}, default)


def text(name: str, about: str) -> Parameter:
    """Any text of 1 to 200 characters."""

    def read(given: str) -> str:
        if not 1 <= len(given) <= 200:
            raise BadParameterError(name, f"{name}: expected 1 to 200 characters, got {len(given)}.")
        return given

    return Parameter(name, about, read, {"type": "string", "minLength": 1, "maxLength": 200})


def moment(name: str, about: str, *, required: bool = False) -> Parameter:
    """A time in ISO 8601; without an offset it is Korean time."""

    def read(given: str) -> datetime:
        try:
            # A plus sign that nobody escaped arrives as a blank.
            found = datetime.fromisoformat(given.replace(" ", "+") if given.count(":") > 1 and " " in given[10:] else given)
        except ValueError:
            found = None
        if found is None or not 2000 <= found.year < 2100:
            raise BadParameterError(name, f"{name}: expected a time in ISO 8601, got {given!r}. Example: {name}=2025-03-01T10:00%2B09:00")
        return found if found.tzinfo else found.replace(tzinfo=SEOUL)

    return Parameter(name, about, read, {"type": "string", "format": "date-time"}, None, required)


NEEDED = "from=2025-03-01T10:00&to=2025-03-01T20:00"
"""What is needed, as an example: a span."""

PAGING = (whole("limit", "Rows of one answer.", 1, MOST, 1_000), whole("offset", "Rows to pass over.", 0, 100_000_000, 0))


def read_parameters(parameters: Sequence[Parameter], given: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The value of every parameter, its default where it was not given.

    Raises:
        BadParameterError: one is unknown, missing, given twice, or not what it takes.
    """
    known = {parameter.name: parameter for parameter in parameters}
    found = {name: parameter.default for name, parameter in known.items()}
    seen = set()
    for name, value in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise BadParameterError(name, f"{name}: there is no such parameter.{hint} Known: {', '.join(known)}.")
        if name in seen:
            raise BadParameterError(name, f"{name}: given more than once.")
        seen.add(name)
        found[name] = known[name].read(value)
    for parameter in parameters:
        if parameter.required and parameter.name not in seen:
            raise BadParameterError(parameter.name, f"{parameter.name}: it is needed. {parameter.about} Example: {NEEDED}")
    return found
