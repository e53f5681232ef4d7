"""What the topic ``incidents`` is told: noted in the transaction of the change, sent after it, and forgotten only when it was sent.

A message may go out twice after a crash, never not at all; ``incident_id`` and ``version`` tell a repetition.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import duckdb

from warehouse.connection import frame
from warehouse.transaction import Transaction

Send = Callable[[Sequence[Mapping[str, Any]]], None]


def note(connection: duckdb.DuckDBPyConnection, incident_id: str, action: str) -> None:
    """Note that an incident was ``opened``, ``updated``, ``closed``, ``declared``, ``corrected`` or ``merged``, as it now is."""
    connection.execute(
        "INSERT INTO incident_message BY NAME SELECT i.*, $action AS action, (SELECT coalesce(max(number), 0) + 1 FROM incident_message) AS number "
        "FROM incident i WHERE incident_id = $incident_id",
        {"action": action, "incident_id": incident_id},
    )


def tell(connection: duckdb.DuckDBPyConnection, send: Send, and_then: Send | None = None, within: Callable[[], Transaction] | None = None) -> None:
    """Send what was noted, in order, with times naive UTC; ``and_then`` is told the same in the transaction that forgets it, which is one of ``within``."""
    noted = frame(connection, "SELECT * FROM incident_message ORDER BY number")
    if noted.is_empty():
        return
    changes = noted.drop("number").to_dicts()
    send(changes)
    with within() if within else Transaction(connection):
        if and_then:
            and_then(changes)
        connection.execute("DELETE FROM incident_message WHERE number <= ?", [noted["number"].max()])
