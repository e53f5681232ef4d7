-- What this batch changes in the count of failed attempts: those of touched purchases after it minus those before it, and the rest as they are.
CREATE OR REPLACE TEMP TABLE failure_change AS
SELECT date_trunc('minute', occurred_at) AS minute_at, occurred_at, market_id, merchant_id, channel, issuer, region, code, amount, change FROM (
    SELECT *, 1 AS change FROM counted_after
    UNION ALL BY NAME SELECT *, -1 AS change FROM counted_before
    UNION ALL BY NAME SELECT * EXCLUDE (source, offset_at, row, minute_at), 1 AS change FROM batch_failure WHERE service = 'payment' AND purchase_id IS NULL
);
