-- The kept payments of purchases that failed: what a failure changes is found here, however many payments are kept.
CREATE TABLE failed_purchase_payment AS
SELECT event_id, purchase_id, attempt, occurred_at, status, amount FROM payment
WHERE purchase_id IN (SELECT purchase_id FROM failure WHERE service = 'payment' AND purchase_id IS NOT NULL);
