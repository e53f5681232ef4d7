-- How much did a market sell on each day (Asia/Seoul) from $start to $end?
SELECT
    (minute_at + INTERVAL 9 HOUR)::DATE AS day,
    sum(approved_amount)::BIGINT AS sales,
    sum(approved)::BIGINT AS approved,
    sum(declined)::BIGINT AS declined,
    sum(failed)::BIGINT AS failed
FROM market_minute
WHERE market_id = $market_id AND minute_at >= $start AND minute_at < $end
GROUP BY ALL
ORDER BY day
