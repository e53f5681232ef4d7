-- Which purchases failed first from $start to $end within a scope, when were they made good, and whose were they?
SELECT purchase_id::VARCHAR AS purchase_id, user_key::VARCHAR AS user_key, failed_purchase.market_id, first_failure_at, failures, amount, recovered_at, recovered_amount
FROM failed_purchase LEFT JOIN market USING (market_id)
WHERE first_failure_at >= $start AND first_failure_at < $end
    AND in_scope($scope, $scope_name, region, failed_purchase.market_id, channel)
