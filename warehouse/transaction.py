"""BEGIN, then COMMIT or ROLLBACK."""

from contextlib import suppress

import duckdb


class Transaction:
    """BEGIN on entry; COMMIT on a clean exit, ROLLBACK otherwise."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection

    def __enter__(self) -> None:
        self.connection.begin()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.connection.commit()
        else:
            # After a COMMIT that failed, and in a database that a full disk has stopped, there is nothing left to roll back.
            with suppress(duckdb.TransactionException, duckdb.FatalException):
                self.connection.rollback()
