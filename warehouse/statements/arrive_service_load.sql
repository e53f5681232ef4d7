-- One report a service and time, the first to come; minutes are then made anew from the reports.
CREATE OR REPLACE TEMP TABLE batch_load AS
WITH keyed AS (SELECT * REPLACE (make_timestamp(occurred_at * 1000) AS occurred_at), date_trunc('minute', make_timestamp(occurred_at * 1000)) AS minute_at FROM arrived_service_load),
-- What is known is looked for first: a semi join reads only the times that the batch is of, an anti join all that is kept.
known AS (FROM load_report SEMI JOIN keyed USING (service, occurred_at))
SELECT DISTINCT ON (service, occurred_at) * FROM keyed ANTI JOIN known USING (service, occurred_at) ORDER BY service, occurred_at, source, offset_at;

INSERT INTO load_report BY NAME SELECT * EXCLUDE (source, offset_at, row, minute_at) FROM batch_load;
CREATE OR REPLACE TEMP TABLE touched_load AS SELECT DISTINCT service, minute_at FROM batch_load;
DELETE FROM load_minute USING touched_load t WHERE load_minute.service = t.service AND load_minute.minute_at = t.minute_at;
INSERT INTO load_minute BY NAME
SELECT t.minute_at, t.service, sum(attempts)::BIGINT AS attempts, sum(succeeded)::BIGINT AS succeeded, sum(failed)::BIGINT AS failed, sum(abandoned)::BIGINT AS abandoned,
    max(queue_length) AS queue_length, max(wait_ms_p50) AS wait_ms_p50, max(wait_ms_p95) AS wait_ms_p95
FROM touched_load t JOIN load_report r ON r.service = t.service AND r.occurred_at >= t.minute_at AND r.occurred_at < t.minute_at + INTERVAL 1 MINUTE
GROUP BY ALL;
