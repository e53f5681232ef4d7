-- The batch's payments that are new: keys as UUID, times as TIMESTAMP, duplicates within the batch and against the kept events left out.
CREATE OR REPLACE TEMP TABLE batch_payment AS
WITH keyed AS (
    SELECT * REPLACE (id_key(event_id) AS event_id, id_key(purchase_id) AS purchase_id, id_key(reverses) AS reverses, user_key::UUID AS user_key,
        make_timestamp(occurred_at * 1000) AS occurred_at),
        date_trunc('minute', make_timestamp(occurred_at * 1000)) AS minute_at
    FROM arrived
)
SELECT DISTINCT ON (event_id) * FROM keyed ANTI JOIN payment USING (event_id) ORDER BY event_id, source, offset_at;
