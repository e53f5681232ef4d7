"""What ``onnuri doctor`` says of a lake: whether it can be reached, what it holds, who leads."""

from dataclasses import dataclass

import duckdb

from warehouse.lake import Lake, LakeExtensionError, open_lake

MANY_FILES = 5_000
"""From here on opening files takes longer than reading them."""


@dataclass(frozen=True)
class Finding:
    """One check: what was looked at, whether it is well, and in words what was found and what to do."""

    check: str
    ok: bool
    finding: str


def look_at_lake(lake: Lake) -> Finding:
    """Attach it as a reader and count."""
    try:
        with open_lake(lake, read_only=True) as connection:
            (files, size) = connection.execute("SELECT sum(file_count)::BIGINT, sum(file_size_bytes)::BIGINT FROM ducklake_table_info('lake')").fetchall()[0]
            (snapshots,) = connection.execute("SELECT count(*) FROM ducklake_snapshots('lake')").fetchall()[0]
            ((terms, leads),) = connection.execute("SELECT term, worker IS NOT NULL FROM leader").fetchall()
    except LakeExtensionError as error:
        return Finding("lake", ok=False, finding=str(error))
    except duckdb.Error as error:
        # The address may hold a password, and DuckDB repeats it.
        return Finding("lake", ok=False, finding=f"The lake cannot be read ({type(error).__name__}). Does its catalog answer, and has a worker begun it?")
    told = f"{files or 0:,} data files of {(size or 0) / 1e9:,.2f} GB, {snapshots:,} snapshots; " + (
        f"leader number {terms:,}." if leads else "nobody has led yet."
    )
    if (files or 0) > MANY_FILES:
        return Finding("lake", ok=False, finding=f"{told} So many files are slow to read: does a leading worker run, which merges them?")
    return Finding("lake", ok=True, finding=told)
