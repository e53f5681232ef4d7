-- Which merchants saw most money fail on the days from $first to $last, within a scope? Channels are not kept by merchant.
SELECT
    merchant_id,
    coalesce(any_value(name), market_id) AS market,
    any_value(region) AS region,
    sum(approved)::BIGINT AS approved,
    sum(amount)::BIGINT AS sales,
    sum(failed)::BIGINT AS failed,
    sum(failed_amount)::BIGINT AS failed_amount
FROM merchant_day LEFT JOIN market USING (market_id)
WHERE day BETWEEN $first AND $last AND merchant_id <> 'unknown'
    AND CASE $scope WHEN 'region' THEN coalesce(region, 'unknown') = $scope_name WHEN 'market' THEN market_id = $scope_name ELSE true END
GROUP BY merchant_id, market_id
HAVING sum(failed) > 0
ORDER BY failed_amount DESC, merchant_id
LIMIT $rows
