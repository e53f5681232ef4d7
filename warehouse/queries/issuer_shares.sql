-- How many payments of each channel did each issuer approve in [low, high)?
SELECT channel, issuer, sum(count)::BIGINT AS approved
FROM issuer_minute
WHERE minute_at >= $low AND minute_at < $high AND outcome = 'approved' AND issuer <> 'unknown'
GROUP BY ALL
ORDER BY ALL;
