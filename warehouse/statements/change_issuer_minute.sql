CREATE OR REPLACE TEMP TABLE change_issuer_minute AS
SELECT minute_at, coalesce(issuer, 'unknown') AS issuer, coalesce(region, 'unknown') AS region, coalesce(channel, 'unknown') AS channel, outcome, coalesce(code, 'unknown') AS code,
    sum(change)::BIGINT AS count, sum(change * coalesce(amount, 0))::BIGINT AS amount,
    count(*) FILTER (latency_ms < 300) AS latency_under_300, count(*) FILTER (latency_ms >= 300 AND latency_ms < 1000) AS latency_under_1000,
    count(*) FILTER (latency_ms >= 1000 AND latency_ms < 3000) AS latency_under_3000, count(*) FILTER (latency_ms >= 3000 AND latency_ms < 10000) AS latency_under_10000,
    count(*) FILTER (latency_ms >= 10000) AS latency_over_10000
FROM (
    SELECT minute_at, issuer, region, channel, status AS outcome, response_code AS code, 1 AS change, amount, latency_ms FROM batch_payment LEFT JOIN market USING (market_id)
    UNION ALL BY NAME SELECT minute_at, issuer, region, channel, 'failed' AS outcome, code, change, amount, NULL::BIGINT AS latency_ms FROM failure_change
) GROUP BY ALL;
