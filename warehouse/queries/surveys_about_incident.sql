-- What share did buyers pay the same merchants by other means, by surveys? Those that name no incident count for every one; the newest is last.
SELECT label, substitution, low, high, note FROM survey WHERE incident_id = $incident_id OR incident_id IS NULL ORDER BY incident_id NULLS FIRST
