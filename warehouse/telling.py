"""What the topic ``incidents`` is told: noted in the transaction of the change, sent after it, and forgotten only when it was sent.

A message may go out twice after a crash, never not at all; ``incident_id`` and ``version`` tell a repetition.
"""

from collections.abc import Callable
from typing import Any

import duckdb

from warehouse.connection import frame
from warehouse.transaction import Transaction


def note(connection: duckdb.DuckDBPyConnection, incident_id: str, action: str) -> None:
    """Note that an incident was ``opened``, ``updated``, ``closed``, ``declared``, ``corrected`` or ``merged``, as it now is."""
    connection.execute(
        "INSERT INTO incident_message BY NAME SELECT i.*, $action AS action, (SELECT coalesce(max(number), 0) + 1 FROM incident_message) AS number "
        "FROM incident i WHERE incident_id = $incident_id",
        {"action": action, "incident_id": incident_id},
    )


def noted(connection: duckdb.DuckDBPyConnection) -> tuple[int, list[dict[str, Any]]]:
    """What is to be sent, in order, with times naive UTC; and up to what it is to be forgotten then."""
    found = frame(connection, "SELECT * FROM incident_message ORDER BY number")
    return (0, []) if found.is_empty() else (found["number"].to_list()[-1], found.drop("number").to_dicts())


def forget(
    connection: duckdb.DuckDBPyConnection, through: int, and_then: Callable[[], None] | None = None, within: Callable[[], Transaction] | None = None
) -> None:
    """Forget what was sent, in a transaction, which is one of ``within``; ``and_then`` is done in the same."""
    with within() if within else Transaction(connection):
        if and_then:
            and_then()
        connection.execute("DELETE FROM incident_message WHERE number <= ?", [through])
