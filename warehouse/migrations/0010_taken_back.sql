-- Which approval a reversal takes back: a failed purchase whose approval was taken back is not recovered. Made anew, as a table that was altered cannot be updated by the same transaction.
CREATE TABLE failed_purchase_payment_reverses AS
SELECT f.*, p.reverses FROM failed_purchase_payment f LEFT JOIN (SELECT event_id, reverses FROM payment WHERE status = 'reversed') p USING (event_id);
DROP TABLE failed_purchase_payment;
ALTER TABLE failed_purchase_payment_reverses RENAME TO failed_purchase_payment;
