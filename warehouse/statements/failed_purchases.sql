-- What the batch makes outdated goes, and what was written anew takes its place.
CREATE OR REPLACE TEMP TABLE outdated AS
SELECT * FROM failed_purchase WHERE purchase_id IN (SELECT purchase_id FROM touched_purchase)
UNION ALL
SELECT * FROM failed_purchase SEMI JOIN touched_buyer USING (user_key, market_id) WHERE purchase_id IS NULL AND last_failure_at >= retained_from();

DELETE FROM failed_purchase WHERE purchase_id IN (SELECT purchase_id FROM touched_purchase)
    OR (purchase_id IS NULL AND last_failure_at >= retained_from() AND (user_key, market_id) IN (SELECT (user_key, market_id) FROM touched_buyer));
INSERT INTO failed_purchase BY NAME SELECT * REPLACE (coalesce(market_id, 'unknown') AS market_id, coalesce(channel, 'unknown') AS channel) FROM renewed;
