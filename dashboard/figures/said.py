"""What people said that can be taken back, as the published tables hold it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from warehouse.commands import KEPT_IN
from warehouse.reading import Snapshot


@dataclass(frozen=True)
class Said:
    """Something that was said: the kind of its command, and its payload with times in ISO 8601, UTC."""

    kind: str
    words: dict[str, Any]


def said_so_far(snapshot: Snapshot) -> list[Said]:
    """All that is kept as it was said, kind by kind, the oldest first."""
    found = []
    for kind, (table, _) in KEPT_IN.items():
        fields = msgspec.structs.fields(kind)
        rows = snapshot.sql(f'SELECT {", ".join(f.name for f in fields)} FROM "{table}"').iter_rows(named=True)  # noqa: S608  # our own names
        found += [Said(str(kind.__struct_config__.tag), {name: _said(value) for name, value in row.items() if value is not None}) for row in rows]
    return found


def _said(value: object) -> object:
    return value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value
