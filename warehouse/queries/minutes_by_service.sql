-- Errors and, where the service reports them, attempts per minute and service in [low, high). Payments are counted elsewhere.
WITH failed AS (SELECT minute_at, service, sum(errors)::BIGINT AS errors FROM service_minute WHERE minute_at >= $low AND minute_at < $high GROUP BY ALL),
loaded AS (SELECT minute_at, service, sum(attempts)::BIGINT AS attempts FROM load_minute WHERE minute_at >= $low AND minute_at < $high GROUP BY ALL)
SELECT minute_at, service, coalesce(errors, 0) AS errors, attempts
FROM failed FULL JOIN loaded USING (minute_at, service)
WHERE service <> 'payment';
