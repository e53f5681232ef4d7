-- With which codes were attempts declined, and with which did they fail, from $start to $end?
SELECT outcome, code, sum(count)::BIGINT AS attempts
FROM issuer_minute
WHERE minute_at >= $start AND minute_at < $end AND outcome IN ('declined', 'failed')
GROUP BY ALL
ORDER BY attempts DESC, outcome, code
