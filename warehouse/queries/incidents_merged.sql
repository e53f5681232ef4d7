-- Which incidents became part of another, and of which?
SELECT incident_id, merged_into FROM incident WHERE merged_into IS NOT NULL ORDER BY incident_id
