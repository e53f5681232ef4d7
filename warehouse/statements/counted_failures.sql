-- Attempts of the touched purchases that ended as failures: one a (purchase, attempt), and none that was decided after all.
CREATE OR REPLACE TEMP TABLE {target} AS
WITH failed AS (
    SELECT DISTINCT ON (purchase_id, coalesce(attempt::VARCHAR, event_id::VARCHAR)) * FROM touched_failure
    ORDER BY purchase_id, coalesce(attempt::VARCHAR, event_id::VARCHAR), occurred_at, event_id
),
decided AS (
    SELECT purchase_id, attempt FROM touched_payment WHERE status IN ('approved', 'declined') AND attempt IS NOT NULL
)
SELECT failed.* FROM failed ANTI JOIN decided ON failed.purchase_id = decided.purchase_id AND failed.attempt = decided.attempt;
