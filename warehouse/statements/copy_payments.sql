-- The batch's payments of purchases that failed.
INSERT INTO touched_payment BY NAME
SELECT event_id, purchase_id, attempt, occurred_at, status, amount, true AS fresh FROM batch_payment WHERE purchase_id IN (SELECT purchase_id FROM touched_purchase);
INSERT INTO failed_purchase_payment BY NAME SELECT * EXCLUDE (fresh) FROM touched_payment WHERE fresh;
