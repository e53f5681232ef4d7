-- How much did each market sell by channel from $start to $end, through one $channel (NULL: through any)?
-- In steps of $minutes during the hours of the day $fine_hours (UTC), in whole hours else. Silent steps are absent, and so is an hour that had begun when the first payment of all was counted. In no order.
-- The region of a market in no list is 'unknown'.
WITH stepped AS (
    SELECT
        time_bucket(CASE WHEN list_contains($fine_hours::BIGINT[], hour(minute_at)) THEN to_minutes($minutes::INTEGER) ELSE INTERVAL 1 HOUR END, minute_at) AS step_at,
        market_id,
        channel,
        sum(approved_amount)::BIGINT AS sales
    FROM market_minute
    WHERE minute_at >= $start AND minute_at < $end
        AND minute_at >= (SELECT date_trunc('hour', min(minute_at) + INTERVAL 59 MINUTE) FROM nation_minute)
        AND ($channel IS NULL OR channel = $channel)
    GROUP BY ALL
)
SELECT step_at AS "at", market_id, sales, coalesce(region, 'unknown') AS region, channel
FROM stepped LEFT JOIN market USING (market_id)
