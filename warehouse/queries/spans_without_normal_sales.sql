-- Which spans are no example of ordinary sales? Announced maintenance, spans that people excluded, and incidents ($now ends those still open); those of
-- a region or a market only for their markets (market_id), the others for all.
SELECT label, starts_at, ends_at, market_id FROM exclusion
UNION ALL SELECT label, starts_at, ends_at, NULL FROM maintenance WHERE announced_at < starts_at
UNION ALL SELECT incident_id, onset_at, greatest(onset_at, coalesce(ended_at, $now)), m.market_id
FROM incident LEFT JOIN market m ON (scope = 'region' AND m.region = scope_name) OR (scope = 'market' AND m.market_id = scope_name) WHERE merged_into IS NULL
ORDER BY starts_at, ends_at, label, market_id
