-- Written anew for every purchase that the batch touched, from all that is kept of it, so that any order of arrival gives the same row.
CREATE OR REPLACE TEMP TABLE renewed AS
WITH approved AS (
    SELECT purchase_id, min(occurred_at) AS recovered_at, sum(amount)::BIGINT AS recovered_amount FROM touched_payment
    WHERE status = 'approved' GROUP BY ALL
),
by_purchase AS (
    SELECT purchase_id, arg_min(user_key, (occurred_at, event_id)) AS user_key, arg_min(market_id, (occurred_at, event_id)) AS market_id,
        arg_min(channel, (occurred_at, event_id)) AS channel, min(occurred_at) AS first_failure_at, max(occurred_at) AS last_failure_at,
        count(*) AS failures, arg_min(amount, (occurred_at, event_id)) AS amount
    FROM counted_after GROUP BY ALL
),
happened AS (SELECT * EXCLUDE (day) FROM touched_happened ANTI JOIN crowd USING (user_key, market_id, day)),
gaps AS (
    SELECT *, occurred_at - lag(occurred_at) OVER buyer > INTERVAL 10 MINUTE AS begins FROM happened WINDOW buyer AS (PARTITION BY user_key, market_id ORDER BY occurred_at, event_id)
),
episodes AS (
    SELECT *, count(*) FILTER (begins) OVER (PARTITION BY user_key, market_id ORDER BY occurred_at, event_id ROWS UNBOUNDED PRECEDING) AS episode FROM gaps
),
dated AS (
    SELECT *, min(occurred_at) FILTER (failed) OVER (PARTITION BY user_key, market_id, episode) AS first_failure_at FROM episodes
),
by_episode AS (
    SELECT NULL::UUID AS purchase_id, user_key, market_id, arg_min(channel, (occurred_at, event_id)) FILTER (failed) AS channel, min(first_failure_at) AS first_failure_at,
        max(occurred_at) FILTER (failed) AS last_failure_at, count(*) FILTER (failed) AS failures,
        arg_min(amount, (occurred_at, event_id)) FILTER (failed) AS amount,
        min(occurred_at) FILTER (NOT failed AND occurred_at >= first_failure_at) AS recovered_at,
        sum(amount) FILTER (NOT failed AND occurred_at >= first_failure_at)::BIGINT AS recovered_amount
    -- What ended before the kept events cannot be made again from them: such rows stay as they are.
    FROM dated GROUP BY user_key, market_id, episode HAVING max(occurred_at) FILTER (failed) >= retained_from()
)
SELECT b.*, a.recovered_at, a.recovered_amount FROM by_purchase b LEFT JOIN approved a USING (purchase_id)
UNION ALL BY NAME SELECT * FROM by_episode;
