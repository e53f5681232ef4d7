"""Incidents that others are merged into: each lasts as long as its own outage and all its parts together.

A part names its whole, never another part: what had been merged into it before goes over with it.

While a part goes on the whole has no end. That its own outage is over is kept in its evidence as ``own_end``, the time naive UTC, so that detection
does not look for it any more and the end that a person gave is not forgotten.
"""

import duckdb

OVER = "json_extract_string(evidence, '$.own_end') IS NOT NULL"
"""Of an incident's row: its own outage is over, whatever its parts."""

_WHOLE_OF = """
SELECT incident_id, ended_at IS NOT NULL FROM incident whole
WHERE incident_id = (SELECT coalesce(merged_into, incident_id) FROM incident WHERE incident_id = $incident_id)
    AND EXISTS (FROM incident part WHERE part.merged_into = whole.incident_id)
"""

_SETTLE = f"""
UPDATE incident SET
    ended_at = CASE WHEN part_open OR own_end IS NULL THEN NULL ELSE greatest(own_end, part_end) END,
    last_seen_at = CASE WHEN own_end IS NULL THEN last_seen_at ELSE greatest(last_seen_at, part_seen) END,
    evidence = CASE WHEN own_end IS NULL THEN evidence ELSE json_merge_patch(coalesce(evidence, '{{}}'), json_object('own_end', own_end::VARCHAR)) END
FROM
    (SELECT bool_or(ended_at IS NULL) AS part_open, max(ended_at) AS part_end, max(last_seen_at) AS part_seen FROM incident WHERE merged_into = $whole),
    (SELECT CASE WHEN {OVER} THEN json_extract_string(evidence, '$.own_end')::TIMESTAMP ELSE ended_at END AS own_end FROM incident WHERE incident_id = $whole)
WHERE incident_id = $whole
"""


def settle(connection: duckdb.DuckDBPyConnection, incident_id: str) -> tuple[str, bool, bool] | None:
    """Bring the whole that an incident is or belongs to, to its own span and that of its parts.

    Returns its id, whether it had an end before, and whether it has one now; None where nothing is merged, as mostly.
    """
    asked = {"incident_id": incident_id}
    found = connection.execute(_WHOLE_OF, asked).fetchall()
    if not found:
        return None
    ((whole, before),) = found
    connection.execute(_SETTLE, {"whole": whole})
    ((_, ended),) = connection.execute(_WHOLE_OF, asked).fetchall()
    return whole, before, ended


def hand_over(connection: duckdb.DuckDBPyConnection, part: str, whole: str) -> None:
    """What was merged into a part before belongs to the part's whole."""
    connection.execute("UPDATE incident SET merged_into = ? WHERE merged_into = ?", [whole, part])


def apart(connection: duckdb.DuckDBPyConnection, incident_id: str) -> None:
    """What becomes a part has its own end again, whatever parts it had."""
    connection.execute(f"UPDATE incident SET ended_at = json_extract_string(evidence, '$.own_end')::TIMESTAMP WHERE incident_id = ? AND {OVER}", [incident_id])
