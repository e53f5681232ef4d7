-- How much did each market sell by channel from $start to $end, within a scope ('market days': the markets that have any)?
-- In steps of $minutes during the hours of the day $fine_hours (UTC), in whole hours else. Silent steps are absent, and so is an hour that had begun when the first payment of all was counted. In no order.
-- Markets in no list are known by not being there: their region is looked for among the sums, where it costs the named ones nothing.
WITH stepped AS (
    SELECT
        time_bucket(CASE WHEN list_contains($fine_hours::BIGINT[], hour(minute_at)) THEN to_minutes($minutes::INTEGER) ELSE INTERVAL 1 HOUR END, minute_at) AS step_at,
        market_id,
        channel,
        sum(approved_amount)::BIGINT AS sales
    FROM market_minute
    WHERE minute_at >= $start AND minute_at < $end
        AND minute_at >= (SELECT date_trunc('hour', min(minute_at) + INTERVAL 59 MINUTE) FROM nation_minute)
        AND CASE $scope
            WHEN 'region' THEN $scope_name = 'unknown' OR market_id IN (SELECT market_id FROM market WHERE region = $scope_name)
            WHEN 'market' THEN market_id = $scope_name
            WHEN 'channel' THEN channel = $scope_name
            WHEN 'market days' THEN market_id IN (SELECT market_id FROM market WHERE cycle IS NOT NULL)
            ELSE true
        END
    GROUP BY ALL
)
SELECT step_at AS "at", market_id, sales, coalesce(region, 'unknown') AS region, channel
FROM stepped LEFT JOIN market USING (market_id)
WHERE $scope <> 'region' OR coalesce(region, 'unknown') = $scope_name
