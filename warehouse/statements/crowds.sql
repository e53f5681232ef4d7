-- What the touched buyers did, of all that is kept, so that any order of arrival gives the same.
CREATE OR REPLACE TEMP TABLE touched_happened AS
SELECT event_id, user_key, market_id, channel, occurred_at, amount, true AS failed, (occurred_at + INTERVAL 9 HOUR)::DATE AS day
FROM failure SEMI JOIN touched_buyer USING (user_key, market_id) WHERE service = 'payment' AND purchase_id IS NULL
UNION ALL
SELECT event_id, user_key, market_id, channel, occurred_at, amount, false, (occurred_at + INTERVAL 9 HOUR)::DATE
FROM payment SEMI JOIN touched_buyer USING (user_key, market_id) WHERE status = 'approved' AND purchase_id IS NULL;

-- The buyers, markets and days among them that are no person's.
INSERT INTO crowd
SELECT user_key, market_id, day FROM touched_happened ANTI JOIN crowd USING (user_key, market_id, day) GROUP BY ALL HAVING count(*) > most_of_a_person();
