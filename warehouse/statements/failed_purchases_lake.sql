-- As failed_purchases.sql where several workers write: nothing is deleted, what is outdated is appended with -1 copy.
CREATE OR REPLACE TEMP TABLE outdated AS
SELECT * EXCLUDE (copies) FROM (
    SELECT * EXCLUDE (copies), sum(copies) AS copies FROM failed_purchase_copy
    WHERE (purchase_id, first_failure_at) IN (SELECT (purchase_id, occurred_at) FROM touched_failure)
        OR (purchase_id IS NULL AND last_failure_at >= retained_from() AND (user_key, market_id) IN (SELECT (user_key, market_id) FROM touched_buyer))
    GROUP BY ALL
) WHERE copies > 0;

INSERT INTO {fresh}.failed_purchase BY NAME
SELECT * EXCLUDE (copies), sum(copies)::BIGINT AS copies FROM (
    SELECT * REPLACE (coalesce(market_id, 'unknown') AS market_id, coalesce(channel, 'unknown') AS channel), 1 AS copies FROM renewed
    UNION ALL BY NAME
    SELECT *, -1 AS copies FROM outdated
) GROUP BY ALL HAVING sum(copies) <> 0;
