-- How many attempts to pay failed from $start to $end within a scope, also of buyers whom nobody knows?
SELECT coalesce(sum(failed), 0)::BIGINT AS failed
FROM market_minute LEFT JOIN market USING (market_id)
WHERE minute_at >= $start AND minute_at < $end
    AND in_scope($scope, $scope_name, region, market_minute.market_id, channel)
