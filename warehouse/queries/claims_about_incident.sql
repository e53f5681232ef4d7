-- What do others say that an incident cost? Claims that name no incident count for every one.
SELECT source, amount, claimed_at, note FROM claim WHERE incident_id = $incident_id OR incident_id IS NULL ORDER BY claimed_at, source
