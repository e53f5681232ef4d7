-- Attempts of the touched purchases that ended as failures: one a (purchase, attempt), and none that was decided after all.
CREATE OR REPLACE TEMP TABLE {target} AS
WITH failed AS (
    SELECT DISTINCT ON (purchase_id, coalesce(attempt::VARCHAR, event_id::VARCHAR)) *
    FROM failure WHERE service = 'payment' AND purchase_id IN (SELECT purchase_id FROM touched_purchase)
    ORDER BY purchase_id, coalesce(attempt::VARCHAR, event_id::VARCHAR), occurred_at, event_id
),
decided AS (
    SELECT purchase_id, attempt FROM failed_purchase_payment
    WHERE status IN ('approved', 'declined') AND attempt IS NOT NULL AND purchase_id IN (SELECT purchase_id FROM touched_purchase)
)
SELECT failed.* FROM failed ANTI JOIN decided ON failed.purchase_id = decided.purchase_id AND failed.attempt = decided.attempt;
