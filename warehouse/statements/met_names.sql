-- Names in this batch that neither the market list nor the contract knows.
CREATE OR REPLACE TEMP TABLE met AS
WITH named AS (
    SELECT 'market' AS kind, market_id AS name, minute_at, approved + declined + reversed + failed AS events FROM change_market_minute ANTI JOIN market USING (market_id)
    UNION ALL SELECT 'channel', channel, minute_at, approved + declined + reversed + failed FROM change_market_minute WHERE channel NOT IN ('card', 'mobile')
    UNION ALL SELECT 'service', service, minute_at, errors FROM change_service_minute
        WHERE service NOT IN ('login', 'queue', 'payment', 'registration', 'top_up', 'refund')
    UNION ALL SELECT 'service', service, minute_at, 1 FROM batch_load WHERE service NOT IN ('login', 'queue', 'payment', 'registration', 'top_up', 'refund')
    UNION ALL SELECT 'code', code, minute_at, errors FROM change_service_minute
        WHERE code NOT IN ('timeout', 'unavailable', 'maintenance', 'queue_abandoned', 'network', 'internal')
)
SELECT kind, name, min(minute_at) AS first_at, max(minute_at) AS last_at, sum(events)::BIGINT AS events FROM named WHERE name <> 'unknown' GROUP BY ALL;

SELECT count(*) > 0 FROM met;
