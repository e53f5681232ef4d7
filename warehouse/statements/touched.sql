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
WITH happened AS (
    SELECT user_key, market_id, (occurred_at + INTERVAL 9 HOUR)::DATE AS day, true AS failed FROM batch_failure WHERE service = 'payment' AND purchase_id IS NULL
    UNION
    SELECT user_key, market_id, (occurred_at + INTERVAL 9 HOUR)::DATE, false FROM batch_payment WHERE purchase_id IS NULL
),
persons AS MATERIALIZED (SELECT * FROM happened ANTI JOIN crowd USING (user_key, market_id, day) WHERE user_key IS NOT NULL AND market_id IS NOT NULL)
SELECT user_key, market_id FROM persons WHERE failed
UNION
SELECT user_key, market_id FROM failure SEMI JOIN (FROM persons WHERE NOT failed) USING (user_key, market_id) WHERE service = 'payment' AND purchase_id IS NULL;

-- Purchases that had not failed before: their earlier payments are still to be copied.
CREATE OR REPLACE TEMP TABLE first_failed AS
SELECT DISTINCT purchase_id FROM batch_failure ANTI JOIN touched_failure USING (purchase_id)
WHERE service = 'payment' AND purchase_id IS NOT NULL;
