-- Names in this batch that neither the market list nor the contract knows; a ten-thousandth of a kind is no longer listed by itself.
CREATE OR REPLACE TEMP TABLE met_name AS
WITH named AS (
    SELECT 'market' AS kind, market_id AS name, minute_at, approved + declined + reversed + failed AS events FROM change_market_minute ANTI JOIN market USING (market_id)
    UNION ALL SELECT 'channel', channel, minute_at, approved + declined + reversed + failed FROM change_market_minute WHERE channel NOT IN ('card', 'mobile')
    UNION ALL SELECT 'service', service, minute_at, errors FROM change_service_minute
        WHERE service NOT IN ('login', 'queue', 'payment', 'registration', 'top_up', 'refund')
    UNION ALL SELECT 'service', service, minute_at, 1 FROM batch_load WHERE service NOT IN ('login', 'queue', 'payment', 'registration', 'top_up', 'refund')
    UNION ALL SELECT 'code', code, minute_at, errors FROM change_service_minute
        WHERE code NOT IN ('timeout', 'unavailable', 'maintenance', 'queue_abandoned', 'network', 'internal')
),
met AS (SELECT kind, name, min(minute_at) AS first_at, max(minute_at) AS last_at, sum(events)::BIGINT AS events FROM named WHERE name <> 'unknown' GROUP BY ALL),
placed AS (
    SELECT met.*, u.name IS NOT NULL OR row_number() OVER (PARTITION BY kind, u.name IS NULL ORDER BY name) + (SELECT count(*) FROM unknown_name k WHERE k.kind = met.kind) <= 10000 AS listed
    FROM met LEFT JOIN unknown_name u USING (kind, name)
)
SELECT kind, if(listed, name, NULL) AS name, min(first_at) AS first_at, max(last_at) AS last_at, sum(events)::BIGINT AS events FROM placed GROUP BY ALL;

SELECT count(*) > 0 FROM met_name;
