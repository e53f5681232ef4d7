-- Which incidents are known, the newest first? One that was merged into another is part of that one.
SELECT incident_id, kind, scope, scope_name, onset_at, detected_at, last_seen_at, ended_at, peak_failure_rate, declared_by
FROM incident
WHERE merged_into IS NULL
ORDER BY onset_at DESC, incident_id
