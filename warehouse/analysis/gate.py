"""A launch's stability gate: criteria that an analyst keeps in a file, each met or not."""

import tomllib
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import polars as pl

from warehouse.analysis.errors import AnalysisError
from warehouse.analysis.times import BOUNDS, SEOUL, can_be_meant

EXAMPLE = """launch = 2026-09-01
soak_from = 2026-08-10
soak_days = 14
load_test_a_minute = 900
rollback_tried = 2026-08-20
schedule_kept = true
"""
_KINDS: dict[str, tuple[type, ...]] = {
    "launch": (date,),
    "soak_from": (date,),
    "soak_days": (int,),
    "load_test_a_minute": (int, float),
    "rollback_tried": (date, bool),
    "schedule_kept": (bool,),
}


@dataclass(frozen=True)
class Gate:
    """What the file says; None where it says nothing."""

    launch: date
    soak_days: int
    soak_from: date | None = None
    load_test_a_minute: float | None = None
    rollback_tried: date | bool | None = None
    schedule_kept: bool | None = None


def read_gate(file: Path) -> Gate:
    """Read a TOML file such as ``EXAMPLE``.

    Raises:
        AnalysisError: it cannot be read, or a field is missing, unknown, or holds something else.
    """
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AnalysisError(f"{file} cannot be read as TOML: {error}. Example:\n{EXAMPLE}") from None
    for name, value in said.items():
        if name not in _KINDS:
            raise AnalysisError(f"{file}: there is no criterion {name!r}. Known: {', '.join(_KINDS)}.")
        if not isinstance(value, _KINDS[name]) or isinstance(value, datetime) or (isinstance(value, bool) and bool not in _KINDS[name]):
            raise AnalysisError(f"{file}: {name}: expected {' or '.join(kind.__name__ for kind in _KINDS[name])}, got {value!r}. Example:\n{EXAMPLE}")
        if isinstance(value, date) and not can_be_meant(datetime(value.year, value.month, value.day, tzinfo=SEOUL)):
            raise AnalysisError(f"{file}: {name}: expected a day {BOUNDS}, got {value}.")
    missing = {"launch", "soak_days"} - set(said)
    if missing:
        raise AnalysisError(f"{file}: expected {' and '.join(sorted(missing))}. Example:\n{EXAMPLE}")
    return Gate(**said)


def judged(gate: Gate, today: date, *, quiet_days: int | None, needed_p99: float | None) -> pl.DataFrame:
    """A row a criterion: ``criterion``, ``wanted``, ``found``, ``met`` (null: not known). ``quiet_days``: days since ``soak_from`` or the last incident, whichever is later; ``needed_p99``: the forecast's busiest minute at 99 %."""
    soak = None if gate.soak_from is None or quiet_days is None else quiet_days >= gate.soak_days
    test = None if gate.load_test_a_minute is None or needed_p99 is None else gate.load_test_a_minute >= needed_p99
    rollback = None if gate.rollback_tried is None else bool(gate.rollback_tried) and (isinstance(gate.rollback_tried, bool) or gate.rollback_tried <= today)
    rows = [
        ("soak_days", str(gate.soak_days), None if quiet_days is None else str(quiet_days), soak),
        ("load_test", None if needed_p99 is None else f"{needed_p99:.0f}", None if gate.load_test_a_minute is None else f"{gate.load_test_a_minute:.0f}", test),
        ("rollback_tried", None, None if gate.rollback_tried is None else str(gate.rollback_tried), rollback),
        ("schedule_kept", None, None if gate.schedule_kept is None else str(gate.schedule_kept).lower(), gate.schedule_kept),
    ]
    return pl.DataFrame(rows, schema={"criterion": pl.String, "wanted": pl.String, "found": pl.String, "met": pl.Boolean}, orient="row")
