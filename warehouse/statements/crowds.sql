-- Buyers, markets and days of the touched ones that are no person's. Of all that is kept of them, so that any order of arrival gives the same.
INSERT INTO crowd
SELECT user_key, market_id, day FROM (
    SELECT user_key, market_id, (occurred_at + INTERVAL 9 HOUR)::DATE AS day FROM failure SEMI JOIN touched_buyer USING (user_key, market_id)
    WHERE service = 'payment' AND purchase_id IS NULL
    UNION ALL
    SELECT user_key, market_id, (occurred_at + INTERVAL 9 HOUR)::DATE FROM payment SEMI JOIN touched_buyer USING (user_key, market_id)
    WHERE status = 'approved' AND purchase_id IS NULL
) ANTI JOIN crowd USING (user_key, market_id, day) GROUP BY ALL HAVING count(*) > most_of_a_person();
