CREATE OR REPLACE TEMP TABLE change_merchant_day AS
SELECT (occurred_at + INTERVAL 9 HOUR)::DATE AS day, coalesce(merchant_id, 'unknown') AS merchant_id, coalesce(market_id, 'unknown') AS market_id,
    sum(approved)::BIGINT AS approved, sum(sold)::BIGINT AS amount, sum(failed)::BIGINT AS failed, sum(failed_amount)::BIGINT AS failed_amount
FROM (
    SELECT occurred_at, merchant_id, market_id, 1 AS approved, amount AS sold, 0 AS failed, 0 AS failed_amount FROM batch_payment WHERE status = 'approved'
    UNION ALL BY NAME SELECT occurred_at, merchant_id, market_id, 0 AS approved, 0 AS sold, change AS failed, change * coalesce(amount, 0) AS failed_amount FROM failure_change
) GROUP BY ALL;
