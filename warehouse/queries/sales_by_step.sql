-- How much was paid, and how many attempts were approved, declined and failed, in each step of $minutes from $start to $end, within a scope?
-- Steps are counted from each midnight in Seoul; steps without anything are absent.
SELECT
    time_bucket(to_minutes($minutes::INTEGER), minute_at, date_trunc('day', minute_at + INTERVAL 9 HOUR) - INTERVAL 9 HOUR) AS "at",
    sum(approved_amount)::BIGINT AS sales,
    sum(approved)::BIGINT AS approved,
    sum(declined)::BIGINT AS declined,
    sum(failed)::BIGINT AS failed
FROM (
    SELECT minute_at, approved_amount, approved, declined, failed FROM nation_minute
    WHERE $scope NOT IN ('region', 'market') AND in_scope($scope, $scope_name, NULL, NULL, channel)
    UNION ALL
    SELECT minute_at, approved_amount, approved, declined, failed FROM market_minute LEFT JOIN market USING (market_id)
    WHERE $scope IN ('region', 'market') AND in_scope($scope, $scope_name, region, market_id, channel)
)
WHERE minute_at >= $start AND minute_at < $end
GROUP BY ALL
ORDER BY "at"
