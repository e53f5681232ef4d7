-- Purchases that failed and that this batch says something of, whichever topic came first; and, where there is no purchase_id,
-- the pairs of buyer and market.
CREATE OR REPLACE TEMP TABLE touched_purchase AS
SELECT purchase_id FROM batch_failure WHERE service = 'payment' AND purchase_id IS NOT NULL
UNION
SELECT purchase_id FROM failure WHERE service = 'payment' AND purchase_id IN (SELECT purchase_id FROM batch_payment);

CREATE OR REPLACE TEMP TABLE touched_buyer AS
SELECT user_key, market_id FROM batch_failure
WHERE service = 'payment' AND purchase_id IS NULL AND user_key IS NOT NULL AND market_id IS NOT NULL
UNION
SELECT f.user_key, f.market_id FROM failure f SEMI JOIN (SELECT user_key, market_id FROM batch_payment WHERE purchase_id IS NULL AND user_key IS NOT NULL) b
    ON f.user_key = b.user_key AND f.market_id = b.market_id
WHERE f.service = 'payment' AND f.purchase_id IS NULL;

-- Of these, the ones that had not failed before: their earlier payments are still to be copied.
CREATE OR REPLACE TEMP TABLE first_failed AS
SELECT DISTINCT purchase_id FROM batch_failure ANTI JOIN (SELECT purchase_id FROM failure WHERE service = 'payment') USING (purchase_id)
WHERE service = 'payment' AND purchase_id IS NOT NULL;
