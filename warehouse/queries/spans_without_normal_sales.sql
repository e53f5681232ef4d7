-- Which spans are no example of ordinary sales, and why (reason)? Spans that people excluded, announced maintenance of payments, and incidents ($now ends those still
-- open), of services those that a buyer passes on the way to a payment; those of a region or a market only for their markets (market_id), a region's with its name (region), the others for all,
-- those of an issuer for two days: one that is away for good would leave no example at all.
WITH placed AS (
    SELECT market_id, region FROM market
    UNION ALL SELECT DISTINCT market_id, 'unknown' FROM market_minute ANTI JOIN market USING (market_id)
    WHERE 'unknown' IN (SELECT scope_name FROM incident WHERE scope = 'region')
)
SELECT label, starts_at, ends_at, market_id, NULL AS region, 'exclusion' AS reason FROM exclusion
UNION ALL SELECT label, starts_at, ends_at, NULL, NULL, 'maintenance' FROM maintenance
WHERE announced_at < starts_at AND coalesce(service, '') IN ('', 'all', 'payment')
UNION ALL SELECT incident_id, onset_at, least(greatest(onset_at, coalesce(ended_at, $now)), CASE scope WHEN 'issuer' THEN onset_at + INTERVAL 2 DAY END), place.market_id,
     CASE scope WHEN 'region' THEN scope_name END, 'incident'
FROM incident, LATERAL (
    SELECT market_id FROM placed WHERE scope = 'region' AND region = scope_name
    UNION ALL SELECT CASE scope WHEN 'market' THEN scope_name END WHERE scope <> 'region'
) AS place
WHERE merged_into IS NULL AND (scope <> 'service' OR scope_name IN ('payment', 'login', 'queue', 'registration'))
ORDER BY starts_at, ends_at, label, market_id
