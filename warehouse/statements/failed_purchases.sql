-- What the batch makes outdated goes, and what was written anew takes its place. What lies before the kept failures cannot be made again from them: a purchase
-- that fails once more after those are gone is another row.
CREATE OR REPLACE TEMP TABLE outdated AS
SELECT p.* FROM failed_purchase p SEMI JOIN touched_failure f ON p.purchase_id = f.purchase_id AND p.first_failure_at = f.occurred_at
UNION ALL
SELECT * FROM failed_purchase SEMI JOIN touched_buyer USING (user_key, market_id) WHERE purchase_id IS NULL AND last_failure_at >= retained_from();

DELETE FROM failed_purchase p USING outdated o WHERE p.purchase_id = o.purchase_id AND p.first_failure_at = o.first_failure_at;
DELETE FROM failed_purchase
WHERE purchase_id IS NULL AND last_failure_at >= retained_from() AND (user_key, market_id) IN (SELECT (user_key, market_id) FROM touched_buyer);
INSERT INTO failed_purchase BY NAME SELECT * REPLACE (coalesce(market_id, 'unknown') AS market_id, coalesce(channel, 'unknown') AS channel) FROM renewed;
