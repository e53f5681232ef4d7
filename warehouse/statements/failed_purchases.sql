-- What the batch makes outdated goes, and what was written anew takes its place. What lies before the kept failures cannot be made again from them: a purchase
-- that fails once more after those are gone is another row.
CREATE OR REPLACE TEMP TABLE outdated AS
WITH known AS MATERIALIZED (
    SELECT purchase_id, first_failure_at FROM failed_purchase
    WHERE purchase_id IN (SELECT purchase_id FROM touched_purchase) AND (purchase_id, first_failure_at) IN (SELECT (purchase_id, occurred_at) FROM touched_failure)
)
SELECT * FROM failed_purchase WHERE first_failure_at BETWEEN (SELECT min(first_failure_at) FROM known) AND (SELECT max(first_failure_at) FROM known)
    AND (purchase_id, first_failure_at) IN (SELECT (purchase_id, first_failure_at) FROM known)
UNION ALL
SELECT * FROM failed_purchase SEMI JOIN touched_buyer USING (user_key, market_id) WHERE purchase_id IS NULL AND last_failure_at >= retained_from();

DELETE FROM failed_purchase WHERE first_failure_at BETWEEN (SELECT min(first_failure_at) FROM outdated) AND (SELECT max(first_failure_at) FROM outdated)
    AND purchase_id IS NOT NULL AND (purchase_id, first_failure_at) IN (SELECT (purchase_id, first_failure_at) FROM outdated);
DELETE FROM failed_purchase
WHERE purchase_id IS NULL AND last_failure_at >= retained_from() AND (user_key, market_id) IN (SELECT (user_key, market_id) FROM touched_buyer);
INSERT INTO failed_purchase BY NAME SELECT * REPLACE (coalesce(market_id, 'unknown') AS market_id, coalesce(channel, 'unknown') AS channel) FROM renewed;
