"""Reading a lake: a state of it is one of its snapshots, attached for as long as it is read, and never changed whatever is committed meanwhile.

What a snapshot holds stays the same when files are merged and rows are flushed; it ends when it expires.
"""

import itertools
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC
from functools import lru_cache
from typing import Any

import duckdb

from warehouse.connection import open_shared
from warehouse.lake import Lake, LakeExtensionError, attaching, load_extensions
from warehouse.states import by_table, state

_NUMBERS = itertools.count()


class NothingPublishedError(Exception):
    """There is nothing to read yet: no worker has run on this warehouse."""


class LakeAwayError(NothingPublishedError):
    """The lake cannot be read just now. The message does not repeat how it is reached: viewers see it."""


class NotKnownError(LookupError):
    """There is no incident or snapshot of that name; the message says what to do. Any other LookupError is a bug."""


@dataclass(frozen=True)
class LakeState:
    """A snapshot of a lake, attached as ``name`` to the database that the readers of this process share."""

    connection: duckdb.DuckDBPyConnection
    name: str

    def close(self) -> None:
        """Let go of it, also where its catalog does not answer: a connection that uses it could say nothing any more."""
        self.connection.close()
        with closing(open_shared()) as other:
            other.execute(f"DETACH DATABASE IF EXISTS {self.name}")


def attached(lake: Lake, number: int | None = None) -> LakeState:
    """Attach the snapshot of that number, or what is newest from one question to the next.

    Raises:
        LakeAwayError: the catalog does not answer, there is no lake, or DuckDB's extensions are not there.
        NotKnownError: there is no such snapshot.
    """
    connection = open_shared()
    found = LakeState(connection, f"lake_{next(_NUMBERS)}")
    try:
        load_extensions(connection, lake)
        connection.execute(attaching(lake, found.name, read_only=True, snapshot=number))
    except LakeExtensionError as error:
        raise LakeAwayError(str(error)) from error
    except duckdb.Error as error:
        found.close()
        if "No snapshot found" in str(error):
            raise NotKnownError(
                f"The lake has no snapshot {number}: it was never made, or it has expired. Kept are those of the last half hour, the last one of each hour for some days (ONNURI_LAKE_DAYS), and those that "
                "issued reports name."
            ) from None
        raise LakeAwayError("The lake cannot be read: its catalog does not answer, or no worker has begun it yet.") from error
    return found


def newest(lake: Lake) -> int:
    """The number of the newest snapshot. Raises as ``attached``."""
    with closing(attached(lake)) as found:
        ((number,),) = found.connection.execute(f"FROM ducklake_current_snapshot('{found.name}')").fetchall()
    return int(number)


@lru_cache(maxsize=8)
def manifest_of(lake: Lake, number: int) -> dict[str, Any]:
    """What a published manifest would say of a snapshot. Raises as ``attached``.

    Files are named as if they were published, so that a table's names change with its content. Nobody knows here how much is still to be read: the lag is
    None. The clock is that of a replay, else the moment of the commit.
    """
    with closing(attached(lake, number)) as found:
        run = found.connection.execute
        ((made,),) = run(f"SELECT snapshot_time::TIMESTAMPTZ FROM __ducklake_metadata_{found.name}.ducklake_snapshot WHERE snapshot_id = {number}").fetchall()
        run(f"USE {found.name}")
        ((clock,),) = run("SELECT clock_at FROM line").fetchall()
        body, files = state(found.connection, clock.replace(tzinfo=UTC) if clock else made, made, {}, {})
    return body | {"sequence": number, "files": by_table(files)}
