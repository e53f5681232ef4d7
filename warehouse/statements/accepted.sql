-- New rows of the batch by source, and how many of them came after their minute had closed: the one that the watermark lies in has not.
CREATE OR REPLACE TEMP TABLE accepted AS
SELECT source, count(*) AS count, count(*) FILTER (minute_at < (SELECT coalesce(date_trunc('minute', watermark), '-infinity') FROM line)) AS late FROM (
    SELECT source, minute_at FROM batch_payment UNION ALL SELECT source, minute_at FROM batch_failure UNION ALL SELECT source, minute_at FROM batch_load
) GROUP BY ALL;
