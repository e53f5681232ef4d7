-- Failed purchases of which something is older than what is kept, and something is not.
CREATE OR REPLACE TEMP TABLE lasting AS
WITH old AS (
    SELECT purchase_id FROM failure WHERE occurred_at < $deleted AND purchase_id IS NOT NULL
    UNION ALL SELECT purchase_id FROM failed_purchase_payment WHERE occurred_at < $deleted
)
SELECT purchase_id FROM failure WHERE occurred_at >= $deleted AND purchase_id IN (SELECT purchase_id FROM old)
UNION SELECT purchase_id FROM failed_purchase_payment WHERE occurred_at >= $deleted AND purchase_id IN (SELECT purchase_id FROM old);
