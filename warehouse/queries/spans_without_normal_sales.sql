-- Which spans are no example of ordinary sales? Announced maintenance, spans that people excluded, and incidents ($now ends those still open).
SELECT label, starts_at, ends_at FROM exclusion WHERE market_id IS NULL
UNION ALL SELECT label, starts_at, ends_at FROM maintenance WHERE announced_at < starts_at
UNION ALL SELECT incident_id, onset_at, greatest(onset_at, coalesce(ended_at, $now)) FROM incident WHERE merged_into IS NULL
ORDER BY starts_at
