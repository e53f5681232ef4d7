-- How did attempts end for each issuer from $start to $end: approved, declined for a business reason, failed technically? Within a scope; markets are not kept by issuer: one has no rows.
SELECT
    issuer,
    coalesce(sum(count) FILTER (outcome = 'approved'), 0)::BIGINT AS approved,
    coalesce(sum(count) FILTER (outcome = 'declined'), 0)::BIGINT AS declined,
    coalesce(sum(count) FILTER (outcome = 'failed'), 0)::BIGINT AS failed
FROM issuer_minute
WHERE minute_at >= $start AND minute_at < $end AND outcome IN ('approved', 'declined', 'failed')
    AND in_scope($scope, $scope_name, region, NULL, channel)
GROUP BY issuer
ORDER BY approved + declined + failed DESC, issuer
