CREATE OR REPLACE TEMP TABLE change_market_minute AS
SELECT minute_at, coalesce(market_id, 'unknown') AS market_id, coalesce(channel, 'unknown') AS channel,
    sum(approved)::BIGINT AS approved, sum(approved_amount)::BIGINT AS approved_amount, sum(declined)::BIGINT AS declined,
    sum(reversed)::BIGINT AS reversed, sum(reversed_amount)::BIGINT AS reversed_amount, sum(failed)::BIGINT AS failed, sum(failed_amount)::BIGINT AS failed_amount
FROM (
    SELECT minute_at, market_id, channel, (status = 'approved')::INT AS approved, if(status = 'approved', amount, 0) AS approved_amount, (status = 'declined')::INT AS declined,
        (status = 'reversed')::INT AS reversed, if(status = 'reversed', amount, 0) AS reversed_amount, 0 AS failed, 0 AS failed_amount FROM batch_payment
    UNION ALL BY NAME SELECT minute_at, market_id, channel, 0 AS approved, 0 AS approved_amount, 0 AS declined, 0 AS reversed, 0 AS reversed_amount,
        change AS failed, change * coalesce(amount, 0) AS failed_amount FROM failure_change
) GROUP BY ALL;
