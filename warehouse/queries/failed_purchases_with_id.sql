-- How many of the purchases that failed first from $start to $end within a scope have an id, and how many of these had not succeeded by $end?
SELECT count(purchase_id) AS purchases, count(purchase_id) FILTER (recovered_at IS NULL OR recovered_at >= $end) AS owed
FROM failed_purchase LEFT JOIN market USING (market_id)
WHERE first_failure_at >= $start AND first_failure_at < $end
    AND in_scope($scope, $scope_name, region, failed_purchase.market_id, channel)
