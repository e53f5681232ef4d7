-- What do others say that an incident cost?
SELECT source, amount, claimed_at, note FROM claim WHERE incident_id = $incident_id ORDER BY claimed_at, source
