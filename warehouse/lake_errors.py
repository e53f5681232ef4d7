"""What DuckDB says while a lake's catalog is away, or has been changed by another worker. Pure."""

import duckdb

AWAY = (
    "server closed the connection",
    "Unable to connect to Postgres",
    "Connection refused",
    "Connection timed out",
    "Current transaction is aborted",
    "terminating connection",
    "Failed to execute query",
    "Failed to prepare COPY",
    "could not receive data from server",
    "could not send data to server",
    "connection to server",
    "SSL connection has been closed",
    "canceling statement",
    "idle-in-transaction timeout",
    "Failed to query most recent snapshot",
    "Exceeded the maximum retry count",
    "database has been invalidated",
    "Attempted to access index 0 within vector of size 0",
)
"""Parts of what DuckDB 1.5 says, in errors of many kinds, where the catalog is away, a connection to it has ended, or too many were faster in a row."""

FASTER = ("Transaction conflict", "database is locked")
"""Parts of what it says where another transaction was faster. In SQLite that is any other."""


class ConflictError(Exception):
    """Another worker has written what this one was about to write: nothing was written, and reading goes on from the lake's offsets."""


class NotLeadingError(Exception):
    """Another worker leads by now: nothing was written."""


def away(error: BaseException) -> bool:
    """Whether the catalog was away: to be tried again, on a new connection. What was about to be committed may be committed."""
    return isinstance(error, duckdb.Error) and any(sign in str(error) for sign in AWAY)


def conflicts(error: BaseException) -> bool:
    """Whether another transaction was faster: nothing of this one was committed."""
    return isinstance(error, duckdb.Error) and any(sign in str(error) for sign in FASTER)
