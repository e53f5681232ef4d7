-- What do others say that an incident cost? What was said of those that were merged into it counts.
SELECT source, amount, claimed_at, note FROM claim
WHERE incident_id IN (SELECT incident_id FROM incident WHERE $incident_id IN (incident_id, merged_into))
ORDER BY claimed_at, source
