-- How did attempts end in each region and channel from $start to $end, within a scope?
SELECT
    coalesce(region, 'unknown') AS region,
    channel,
    sum(approved)::BIGINT AS approved,
    sum(declined)::BIGINT AS declined,
    sum(failed)::BIGINT AS failed
FROM market_minute LEFT JOIN market USING (market_id)
WHERE minute_at >= $start AND minute_at < $end
    AND in_scope($scope, $scope_name, region, market_minute.market_id, channel)
GROUP BY ALL
ORDER BY region, channel
