-- What is kept of purchases that this batch says something of. After an outage there are millions of failures: each table is looked through once, and only
-- for purchases and times; the rest is read of that time alone.
CREATE OR REPLACE TEMP TABLE touched_failure AS
WITH asked AS (SELECT purchase_id FROM batch_payment UNION ALL SELECT purchase_id FROM batch_failure WHERE service = 'payment'),
known AS MATERIALIZED (SELECT purchase_id, occurred_at FROM failure WHERE purchase_id IN (SELECT purchase_id FROM asked))
SELECT * FROM failure WHERE occurred_at BETWEEN (SELECT min(occurred_at) FROM known) AND (SELECT max(occurred_at) FROM known)
    AND service = 'payment' AND purchase_id IN (SELECT purchase_id FROM known);

-- Purchases that failed and that this batch says something of, whichever topic came first.
CREATE OR REPLACE TEMP TABLE touched_purchase AS
SELECT purchase_id FROM batch_failure WHERE service = 'payment' AND purchase_id IS NOT NULL
UNION
SELECT purchase_id FROM touched_failure;

-- Payments of these purchases, as far as they were copied before.
CREATE OR REPLACE TEMP TABLE touched_payment AS
WITH known AS MATERIALIZED (SELECT purchase_id, occurred_at FROM failed_purchase_payment WHERE purchase_id IN (SELECT purchase_id FROM touched_purchase))
SELECT *, false AS fresh FROM failed_purchase_payment WHERE occurred_at BETWEEN (SELECT min(occurred_at) FROM known) AND (SELECT max(occurred_at) FROM known)
    AND purchase_id IN (SELECT purchase_id FROM known);

-- Where there is no purchase_id, the pairs of buyer and market.
CREATE OR REPLACE TEMP TABLE touched_buyer AS
SELECT user_key, market_id FROM batch_failure
WHERE service = 'payment' AND purchase_id IS NULL AND user_key IS NOT NULL AND market_id IS NOT NULL
UNION
SELECT f.user_key, f.market_id FROM failure f SEMI JOIN (SELECT user_key, market_id FROM batch_payment WHERE purchase_id IS NULL AND user_key IS NOT NULL) b
    ON f.user_key = b.user_key AND f.market_id = b.market_id
WHERE f.service = 'payment' AND f.purchase_id IS NULL;

-- Purchases that had not failed before: their earlier payments are still to be copied.
CREATE OR REPLACE TEMP TABLE first_failed AS
SELECT DISTINCT purchase_id FROM batch_failure ANTI JOIN touched_failure USING (purchase_id)
WHERE service = 'payment' AND purchase_id IS NOT NULL;
