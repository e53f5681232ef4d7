-- What did each of $services report minute by minute from $start to $end? Minutes without a report are absent.
SELECT minute_at, service, attempts, failed, abandoned, queue_length, wait_ms_p95
FROM load_minute
WHERE minute_at >= $start AND minute_at < $end AND list_contains($services::VARCHAR[], service)
ORDER BY minute_at, service
