-- Counts of attempts per minute, region, channel and issuer in [low, high), where the issuer is known. Minutes without any are absent.
SELECT minute_at, region, channel, issuer, coalesce(sum(count) FILTER (outcome = 'approved'), 0)::BIGINT AS approved,
    coalesce(sum(count) FILTER (outcome = 'declined'), 0)::BIGINT AS declined, coalesce(sum(count) FILTER (outcome = 'failed'), 0)::BIGINT AS failed
FROM issuer_minute
WHERE minute_at >= $low AND minute_at < $high AND issuer <> 'unknown'
GROUP BY ALL;
