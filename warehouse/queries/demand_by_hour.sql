-- How much was paid and how many attempts to pay were made in each hour from $start to $end, by market, region or nation ($by)? Silent hours are absent.
SELECT
    date_trunc('hour', minute_at) AS "at",
    region,
    market_id,
    sum(approved_amount)::BIGINT AS sales,
    sum(approved + declined + failed)::BIGINT AS attempts
FROM (
    SELECT minute_at, '' AS region, '' AS market_id, approved_amount, approved, declined, failed FROM nation_minute WHERE $by = 'nation'
    UNION ALL
    SELECT minute_at, coalesce(region, 'unknown'), CASE WHEN $by = 'market' THEN market_id ELSE '' END, approved_amount, approved, declined, failed
    FROM market_minute LEFT JOIN market USING (market_id) WHERE $by <> 'nation'
)
WHERE minute_at >= $start AND minute_at < $end
GROUP BY ALL
ORDER BY ALL
