-- Payments that came before the first failure of their purchase; `maybe` holds the hashes of purchases that may have some from $low to $high.
INSERT INTO touched_payment BY NAME
SELECT event_id, purchase_id, attempt, occurred_at, status, amount, true AS fresh FROM payment
WHERE occurred_at BETWEEN $low AND $high AND purchase_id IN (SELECT purchase_id FROM first_failed WHERE hash(purchase_id) IN (SELECT hash FROM maybe))
    AND event_id NOT IN (SELECT event_id FROM touched_payment);
