"""Where a field stands in a TOML file, so that an error can name the line."""

import re

_TABLE = re.compile(r"\s*\[\s*([\w.\-]+)\s*\]\s*(?:#.*)?$")
_ELEMENT = re.compile(r"\s*\[\[\s*([\w.\-]+)\s*\]\]\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([\w.\-]+)\s*=")
_FIRST_WORD = re.compile(r"([a-z_][a-z_.]*): ")
_UNKNOWN = re.compile(r"unknown field `([^`]+)`")


def field_named(error: str) -> tuple[str, str, str]:
    """Reason, dotted place, and the field within it if the reason tells, as in ``incident[0].ends_at``, of a message by msgspec; empty where there is none."""
    reason, _, place = error.partition(" - at `")
    place = place.rstrip("`").removeprefix("$").removeprefix(".")
    inner = _UNKNOWN.search(reason) or _FIRST_WORD.match(reason)
    return reason, place, f"{place}.{inner[1]}".lstrip(".") if inner else place


def line_of(text: str, field: str) -> int | None:
    """The line (from 1) on which a field is set, else that of its table; None where neither is found."""
    known = _lines(text)
    while field:
        if field in known:
            return known[field]
        field = field[: max(field.rfind("."), field.rfind("["), 0)]
    return None


def _lines(text: str) -> dict[str, int]:
    known: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if found := _ELEMENT.match(line):
            index = counts[found[1]] = counts.get(found[1], -1) + 1
            table = f"{found[1]}[{index}]"
            known.setdefault(table, number)
        elif found := _TABLE.match(line):
            table = found[1]
            known.setdefault(table, number)
        elif found := _KEY.match(line):
            known.setdefault(f"{table}.{found[1]}".lstrip("."), number)
    return known
