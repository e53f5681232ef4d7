-- Which editions of the loss report of an incident, and of those that were merged into it, were issued, the oldest first?
SELECT stage, issued_at, issued_by, lost, low, high, manifest_sequence, inputs, document, note, incident_id, window_start, window_end
-- States of before the window was kept have no columns for it.
FROM (FROM report_edition UNION ALL BY NAME SELECT NULL::TIMESTAMP AS window_start, NULL::TIMESTAMP AS window_end WHERE false)
WHERE incident_id IN (SELECT incident_id FROM incident WHERE $incident_id IN (incident_id, merged_into))
ORDER BY issued_at, edition_id
