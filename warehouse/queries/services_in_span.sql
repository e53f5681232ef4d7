-- What did each service report from $start to $end? A service that reported nothing is absent. waited_minutes: people in the queue, added up minute by minute.
SELECT
    service,
    sum(attempts)::BIGINT AS attempts,
    sum(succeeded)::BIGINT AS succeeded,
    sum(failed)::BIGINT AS failed,
    sum(abandoned)::BIGINT AS abandoned,
    max(queue_length)::BIGINT AS queue_length,
    sum(queue_length)::BIGINT AS waited_minutes
FROM load_minute
WHERE minute_at >= $start AND minute_at < $end
GROUP BY service
ORDER BY service
