-- Who corrected an incident's onset and end? Null: nobody did.
SELECT evidence ->> '$.corrected.onset_at' AS onset_by, evidence ->> '$.corrected.ended_at' AS ended_by FROM incident WHERE incident_id = $incident_id
