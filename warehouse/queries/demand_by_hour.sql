-- How much was paid and how many attempts to pay were made in each hour from $start to $end, by market, region or nation ($by)? Silent hours are absent.
SELECT
    date_trunc('hour', minute_at) AS "at",
    CASE WHEN $by = 'nation' THEN '' ELSE coalesce(region, 'unknown') END AS region,
    CASE WHEN $by = 'market' THEN market_id ELSE '' END AS market_id,
    sum(approved_amount)::BIGINT AS sales,
    sum(approved + declined + failed)::BIGINT AS attempts
FROM market_minute LEFT JOIN market USING (market_id)
WHERE minute_at >= $start AND minute_at < $end
GROUP BY ALL
ORDER BY ALL
