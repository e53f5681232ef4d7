-- How many payments were approved in each market in each hour of the day (in Seoul), over the days of [low, high)?
SELECT coalesce(region, 'unknown') AS region, market_id, (hour(minute_at) + 9) % 24 AS hour, sum(approved)::BIGINT AS approved
FROM market_minute LEFT JOIN market USING (market_id)
WHERE minute_at >= $low AND minute_at < $high
GROUP BY ALL
ORDER BY ALL;
