-- Counts of attempts per minute, market and channel in [low, high). Minutes without any are absent.
SELECT minute_at, coalesce(region, 'unknown') AS region, market_id, channel, sum(approved)::BIGINT AS approved, sum(declined)::BIGINT AS declined, sum(failed)::BIGINT AS failed
FROM market_minute LEFT JOIN market USING (market_id)
WHERE minute_at >= $low AND minute_at < $high
GROUP BY ALL;
