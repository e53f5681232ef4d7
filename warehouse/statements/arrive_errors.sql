-- The batch's failures, with the region that they count in.
CREATE OR REPLACE TEMP TABLE batch_failure AS
WITH keyed AS (
    SELECT * REPLACE (event_id::UUID AS event_id, purchase_id::UUID AS purchase_id, user_key::UUID AS user_key, make_timestamp(occurred_at * 1000) AS occurred_at),
        date_trunc('minute', make_timestamp(occurred_at * 1000)) AS minute_at
    FROM arrived_errors
)
SELECT keyed.*, market.region FROM keyed LEFT JOIN market USING (market_id);
