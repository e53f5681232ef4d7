-- How did each market's sales run from $start to $end, in steps of $minutes?
SELECT time_bucket(to_minutes($minutes::INTEGER), minute_at) AS "at", market_id, sum(approved_amount)::BIGINT AS sales
FROM market_minute
WHERE minute_at >= $start AND minute_at < $end
GROUP BY ALL
ORDER BY market_id, "at"
