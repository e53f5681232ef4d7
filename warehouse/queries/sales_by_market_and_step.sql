-- How much did each market sell by channel in each step of $minutes from $start to $end, within a scope? Silent steps are absent.
SELECT
    time_bucket(to_minutes($minutes::INTEGER), minute_at) AS "at",
    market_id,
    sum(approved_amount)::BIGINT AS sales,
    coalesce(any_value(region), 'unknown') AS region,
    channel
FROM market_minute LEFT JOIN market USING (market_id)
WHERE minute_at >= $start AND minute_at < $end
    AND CASE $scope
        WHEN 'region' THEN region = $scope_name
        WHEN 'market' THEN market_id = $scope_name
        WHEN 'channel' THEN channel = $scope_name
        ELSE true
    END
GROUP BY "at", market_id, channel
ORDER BY "at", market_id, channel
