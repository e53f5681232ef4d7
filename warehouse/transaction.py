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
        elif not issubclass(kind, (duckdb.FatalException, duckdb.InternalException)):
            # After a COMMIT that failed there is nothing left to roll back. In a database that has been stopped there is not either, and on a lake to try
            # would abort the process.
            with suppress(duckdb.Error):
                self.connection.rollback()
