-- Which editions of an incident's loss report were issued, the oldest first?
SELECT stage, issued_at, issued_by, lost, low, high, manifest_sequence, inputs, document, note
FROM report_edition
WHERE incident_id = $incident_id
ORDER BY issued_at, edition_id
