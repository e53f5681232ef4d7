-- Which incidents are there, also those that were merged into others?
SELECT incident_id FROM incident ORDER BY incident_id
