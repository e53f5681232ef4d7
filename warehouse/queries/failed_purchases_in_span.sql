-- How many purchases failed first from $start to $end within a scope, how many succeeded later, and what were they worth? Amounts are null where no such purchase has one.
SELECT
    count(*) AS purchases,
    count(recovered_at) AS recovered,
    coalesce(sum(failures), 0)::BIGINT AS failures,
    coalesce(sum(coalesce(amount, recovered_amount)), CASE WHEN count(*) = 0 THEN 0 END)::BIGINT AS amount,
    coalesce(sum(recovered_amount), 0)::BIGINT AS recovered_amount,
    coalesce(sum(amount) FILTER (recovered_at IS NULL), CASE WHEN count(*) FILTER (recovered_at IS NULL) = 0 THEN 0 END)::BIGINT AS unrecovered_amount
FROM failed_purchase LEFT JOIN market USING (market_id)
WHERE first_failure_at >= $start AND first_failure_at < $end
    AND in_scope($scope, $scope_name, region, market_id, channel)
