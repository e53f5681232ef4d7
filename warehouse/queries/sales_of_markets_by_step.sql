-- How much did each of some $markets sell from $start to $end? In steps of $minutes during the hours of the day $fine_hours (UTC), in whole hours else.
-- Silent steps are absent, and so is an hour that had begun when the first payment of all was counted. In no order.
SELECT
    time_bucket(CASE WHEN list_contains($fine_hours::BIGINT[], hour(minute_at)) THEN to_minutes($minutes::INTEGER) ELSE INTERVAL 1 HOUR END, minute_at) AS "at",
    market_id,
    sum(approved_amount)::BIGINT AS sales
FROM market_minute
WHERE minute_at >= $start AND minute_at < $end
    AND minute_at >= (SELECT date_trunc('hour', min(minute_at) + INTERVAL 59 MINUTE) FROM nation_minute)
    AND market_id IN (SELECT unnest($markets::VARCHAR[]))
GROUP BY ALL
