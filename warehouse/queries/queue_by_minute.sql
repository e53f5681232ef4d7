-- How long was the waiting queue in each minute from $start to $end, and how many left it? Minutes without a report are absent.
SELECT minute_at AS "at", max(queue_length) AS queue_length, sum(abandoned)::BIGINT AS abandoned, max(wait_ms_p50) AS wait_ms_p50
FROM load_minute
WHERE minute_at >= $start AND minute_at < $end
GROUP BY ALL
ORDER BY "at"
