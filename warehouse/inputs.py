"""What a report was made from, so that one can tell whether it is the same: every published file, or every table of a lake's snapshot."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from warehouse.reading import Snapshot


@dataclass(frozen=True)
class Inputs:
    """``digests`` by name. ``files`` and their ``bytes`` of published files; ``rows`` of a lake, None of files: which files a lake has changes when they are merged."""

    digests: dict[str, str]
    files: int
    bytes: int
    rows: int | None = None


def inputs_of(snapshot: Snapshot, published: Path) -> Inputs:
    """What the snapshot of ``published`` consists of: of files their SHA-256, of a lake's tables the number of rows and the sum of DuckDB's hashes of them."""
    if snapshot.lake is None:
        return _files(published, sorted(file for files in snapshot.manifest.files.values() for file in files))
    run = snapshot.connection.execute
    tables = [name for (name,) in run("SELECT view_name FROM duckdb_views() WHERE schema_name = ? ORDER BY 1", [snapshot.schema]).fetchall()]
    found = {table: run(f'SELECT count(*), coalesce(sum(hash(t)::HUGEINT), 0) FROM "{table}" t').fetchall()[0] for table in tables}
    return Inputs({table: f"{rows} {total}" for table, (rows, total) in found.items()}, 0, 0, sum(rows for rows, _ in found.values()))


def _files(published: Path, names: list[str]) -> Inputs:
    digests, size = {}, 0
    for name in names:
        with (published / name).open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
            size += file.tell()
    return Inputs(digests, len(names), size)
