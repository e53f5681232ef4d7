"""What the author of a report keeps in a folder: causes, measures, moments, rules for compensation. Every file may be absent.

``causes.toml``, ``compensation.toml``, ``measures.csv``, ``moments.csv``; docs/report.md has an example of each.
"""

import csv
import io
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec

from dashboard.formatting import SEOUL
from warehouse.analysis.times import BOUNDS, can_be_meant
from warehouse.hand_made import EncodingError, decoded, time_of

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Basis = Literal["measured", "reported", "estimated"]
Kind = TypeVar("Kind", bound=msgspec.Struct)
Base = Literal["gross", "net", "merchants_loss", "failed_amount", "failed_purchases", "given_up", "buyers", "hours_waited"]


class AuthorError(ValueError):
    """A file of the author cannot be used: which, where, what was expected and what came."""


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it happened, as far as known; ``basis`` says how it is known, ``evidence`` from what."""

    area: Literal["capacity", "demand_forecast", "tests", "operator_change", "schedule", "other"]
    finding: Text
    basis: Basis
    evidence: Text


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done against it."""

    measure: Text
    owner: Text
    due: date
    indicator: Text
    state: Literal["planned", "started", "done", "late"]


class Moment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A moment that no event tells; without an offset it is Korean time."""

    at: datetime
    what: Text
    source: Text
    basis: Basis = "reported"

    @property
    def moment(self) -> datetime:
        """The time, aware."""
        return self.at if self.at.tzinfo else self.at.replace(tzinfo=SEOUL)


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule for compensation: ``rate`` KRW for each KRW or each unit of ``base``, at most ``cap`` KRW in all."""

    name: Text
    payee: Literal["merchants", "buyers"]
    base: Base
    rate: Annotated[float, msgspec.Meta(gt=0, le=1_000_000_000)]
    source: Text
    cap: Annotated[int, msgspec.Meta(gt=0)] | None = None


@dataclass(frozen=True)
class AuthorFiles:
    """What the folder held, and the bytes of each file for the hash of inputs."""

    causes: list[Cause] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    raw: dict[str, bytes] = field(default_factory=dict)


class _Causes(msgspec.Struct, forbid_unknown_fields=True):
    cause: list[Cause] = []


class _Rules(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[Rule] = []


NAMES = ("causes.toml", "compensation.toml", "measures.csv", "moments.csv")


def read_author(folder: Path | None) -> AuthorFiles:
    """Read the folder; None: nothing is kept.

    Raises:
        AuthorError: there is no such folder, none of the files is in it, or one of them cannot be used.
    """
    if folder is None:
        return AuthorFiles()
    if not folder.is_dir():
        raise AuthorError(f"{folder} is not a folder. Expected one with any of {', '.join(NAMES)}.")
    raw = {name: (folder / name).read_bytes() for name in NAMES if (folder / name).is_file()}
    if not raw:
        raise AuthorError(f"{folder} holds none of {', '.join(NAMES)}. Put at least one there, or leave --author out.")
    return AuthorFiles(
        causes=_toml(folder / "causes.toml", raw, _Causes).cause,
        measures=_csv(folder / "measures.csv", raw, Measure),
        moments=sorted(_csv(folder / "moments.csv", raw, Moment), key=lambda moment: moment.moment),
        rules=_toml(folder / "compensation.toml", raw, _Rules).rule,
        raw=raw,
    )


def _toml(path: Path, raw: dict[str, bytes], kind: type[Kind]) -> Kind:
    if path.name not in raw:
        return kind()
    try:
        return msgspec.toml.decode(_text(path, raw), type=kind)
    except msgspec.MsgspecError as error:
        raise AuthorError(f"{path}: {error}. docs/report.md has an example.") from None


def _csv(path: Path, raw: dict[str, bytes], kind: type[Kind]) -> list[Kind]:
    if path.name not in raw:
        return []
    rows = csv.DictReader(io.StringIO(_text(path, raw), newline=None))
    try:
        return _entries(path, rows, kind)
    except csv.Error as error:
        raise AuthorError(f"{path}, line {rows.line_num + 1}: {error}. docs/report.md has an example.") from None


def _entries(path: Path, rows: "csv.DictReader[str]", kind: type[Kind]) -> list[Kind]:
    fields = msgspec.structs.fields(kind)
    needed = [field.name for field in fields if field.required]
    found = list(rows.fieldnames or [])
    if set(needed) - set(found) or set(found) - {field.name for field in fields}:
        raise AuthorError(f"{path}: expected the columns {', '.join(needed)}, found {', '.join(found) or 'none'}. docs/report.md has an example.")
    entries = []
    for row in rows:
        try:
            entries.append(msgspec.convert({name: _written_out(name, value.strip(), kind) for name, value in row.items() if value}, kind, strict=False))
        except (AuthorError, msgspec.ValidationError, AttributeError) as error:
            said = "more cells than columns" if isinstance(error, AttributeError) else error
            raise AuthorError(f"{path}, line {rows.line_num}: {said}. docs/report.md has an example.") from None
    return entries


def _written_out(name: str, value: str, kind: type[msgspec.Struct]) -> object:
    """A time or a date as people write it, where one is kept; anything else as it is.

    Raises:
        AuthorError: it is none.
    """
    expected = {field.name: field.type for field in msgspec.structs.fields(kind)}.get(name)
    if expected not in {date, datetime}:
        return value
    found = time_of(value)
    if expected is datetime and isinstance(found, date):
        moment = found if isinstance(found, datetime) else datetime(found.year, found.month, found.day)  # noqa: DTZ001 - without an offset it is Korean time
        if not can_be_meant(moment):
            raise AuthorError(f"{name} is {value!r}: expected a time {BOUNDS}")
        return moment
    if found is None or isinstance(found, datetime):
        raise AuthorError(f"{name} is {value!r}: expected {'a time such as 2025-03-01 09:00' if expected is datetime else 'a date such as 2025-03-31'}")
    return found


def _text(path: Path, raw: dict[str, bytes]) -> str:
    try:
        return decoded(raw[path.name])
    except EncodingError as error:
        raise AuthorError(f"{path} {error}") from None
