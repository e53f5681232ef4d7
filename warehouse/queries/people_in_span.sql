-- Whom did failures hit from $start to $end within a scope? A buyer is counted where the platform names one. lost_amount had not come back by $end; made_up_amount came back after it; lost_amount is null where no such purchase has an amount.
SELECT
    count(DISTINCT user_key) AS buyers,
    count(*) FILTER (user_key IS NULL) AS purchases_without_buyer,
    coalesce(sum(failures), 0)::BIGINT AS attempts,
    count(*) FILTER (recovered_at IS NULL) AS given_up,
    coalesce(
        sum(coalesce(amount, recovered_amount)) FILTER (recovered_at IS NULL OR recovered_at >= $end),
        CASE WHEN count(*) FILTER (recovered_at IS NULL OR recovered_at >= $end) = 0 THEN 0 END
    )::BIGINT AS lost_amount,
    coalesce(sum(recovered_amount) FILTER (recovered_at >= $end), 0)::BIGINT AS made_up_amount
FROM failed_purchase LEFT JOIN market USING (market_id)
WHERE first_failure_at >= $start AND first_failure_at < $end
    AND in_scope($scope, $scope_name, region, market_id, channel)
