-- The batch's payments: keys as UUID, times as TIMESTAMP. A view: each statement reads the columns that it needs from the decoder's own memory.
CREATE OR REPLACE TEMP VIEW batch_payment AS
SELECT * REPLACE (event_id::UUID AS event_id, purchase_id::UUID AS purchase_id, reverses::UUID AS reverses, user_key::UUID AS user_key,
    make_timestamp(occurred_at * 1000) AS occurred_at),
    date_trunc('minute', make_timestamp(occurred_at * 1000)) AS minute_at
FROM arrived_payments;
