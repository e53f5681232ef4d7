-- How long was the waiting queue in each minute from $start to $end, and how many left it? Minutes without a report of the service queue are absent.
SELECT minute_at AS "at", queue_length, abandoned, wait_ms_p50
FROM load_minute
WHERE minute_at >= $start AND minute_at < $end AND service = 'queue'
ORDER BY "at"
