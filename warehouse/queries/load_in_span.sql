-- What did each service report of its load from $start to $end? Services without a report are absent.
SELECT service, sum(attempts)::BIGINT AS attempts, sum(succeeded)::BIGINT AS succeeded, sum(failed)::BIGINT AS failed, sum(abandoned)::BIGINT AS abandoned,
    max(queue_length) AS queue_length
FROM load_minute
WHERE minute_at >= $start AND minute_at < $end
GROUP BY service
ORDER BY service
