CREATE OR REPLACE TEMP TABLE change_service_minute AS
SELECT minute_at, service, code, count(*) AS errors FROM batch_failure GROUP BY ALL;
