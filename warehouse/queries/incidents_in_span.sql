-- Which incidents touched $start to $end, by when they were found and over? Merged ones are part of others.
SELECT incident_id, kind, scope, coalesce(scope_name, '') AS scope_name, onset_at, detected_at, ended_at, peak_failure_rate, merged_into
FROM incident
WHERE merged_into IS NULL AND onset_at < $end AND (ended_at IS NULL OR ended_at > $start)
ORDER BY onset_at, incident_id
