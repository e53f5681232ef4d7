-- The hours whose published files this batch makes stale.
SELECT DISTINCT date_trunc('hour', moment) FROM (
    SELECT minute_at AS moment FROM batch_payment UNION ALL SELECT minute_at FROM batch_failure UNION ALL SELECT minute_at FROM failure_change
    UNION ALL SELECT minute_at FROM batch_load UNION ALL SELECT first_failure_at FROM renewed UNION ALL SELECT first_failure_at FROM outdated
);
