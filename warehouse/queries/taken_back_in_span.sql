-- How much was approved and how much taken back (by the minute of the reversal) from $start to $end, and how much from $since to $start, within a scope?
SELECT
    coalesce(sum(approved_amount) FILTER (minute_at >= $start), 0)::BIGINT AS approved_amount,
    coalesce(sum(reversed_amount) FILTER (minute_at >= $start), 0)::BIGINT AS reversed_amount,
    coalesce(sum(reversed) FILTER (minute_at >= $start), 0)::BIGINT AS reversed,
    coalesce(sum(approved_amount) FILTER (minute_at < $start), 0)::BIGINT AS approved_before,
    coalesce(sum(reversed_amount) FILTER (minute_at < $start), 0)::BIGINT AS reversed_before
FROM market_minute LEFT JOIN market USING (market_id)
WHERE minute_at >= $since AND minute_at < $end
    AND in_scope($scope, $scope_name, region, market_minute.market_id, channel)
