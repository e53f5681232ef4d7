-- With which codes were attempts declined, and with which did they fail, from $start to $end, within a scope? Markets are not kept by code: one has no rows.
SELECT outcome, code, sum(count)::BIGINT AS attempts
FROM issuer_minute
WHERE minute_at >= $start AND minute_at < $end AND outcome IN ('declined', 'failed')
    AND in_scope($scope, $scope_name, region, NULL, channel)
GROUP BY ALL
ORDER BY attempts DESC, outcome, code
