-- Which merchants of a market sold most on the days from $first to $last?
SELECT merchant_id, sum(approved)::BIGINT AS approved, sum(amount)::BIGINT AS sales, sum(failed)::BIGINT AS failed, sum(failed_amount)::BIGINT AS failed_amount
FROM merchant_day
WHERE market_id = $market_id AND day BETWEEN $first AND $last
GROUP BY merchant_id
ORDER BY sales DESC, merchant_id
