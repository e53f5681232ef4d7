-- Which markets sold most from $start to $end, and how often did attempts fail there?
SELECT
    market_id,
    coalesce(any_value(name), market_id) AS market,
    coalesce(any_value(region), 'unknown') AS region,
    any_value(latitude) AS latitude,
    any_value(longitude) AS longitude,
    sum(approved_amount)::BIGINT AS sales,
    sum(approved)::BIGINT AS approved,
    sum(declined)::BIGINT AS declined,
    sum(failed)::BIGINT AS failed
FROM market_minute LEFT JOIN market USING (market_id)
WHERE minute_at >= $start AND minute_at < $end
GROUP BY market_id
ORDER BY sales DESC, market_id
