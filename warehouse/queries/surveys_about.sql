-- Which surveys tell what was paid by other means in an incident, or in those that were merged into it? The newest stands last, after those about none.
SELECT label, substitution, low, high, note FROM survey
WHERE incident_id IS NULL OR incident_id IN (SELECT incident_id FROM incident WHERE $incident_id IN (incident_id, merged_into))
ORDER BY incident_id IS NOT NULL, row_number() OVER ()
