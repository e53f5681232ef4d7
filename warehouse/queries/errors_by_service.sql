-- Which errors did each service report from $start to $end?
SELECT service, code, sum(errors)::BIGINT AS errors
FROM service_minute
WHERE minute_at >= $start AND minute_at < $end
GROUP BY ALL
ORDER BY service, errors DESC, code
