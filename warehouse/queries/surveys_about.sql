-- Which surveys tell what was paid by other means in an incident? The newest stands last.
SELECT label, substitution, low, high, note FROM survey WHERE incident_id = $incident_id OR incident_id IS NULL ORDER BY incident_id NULLS FIRST
