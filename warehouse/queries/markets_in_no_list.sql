-- Which markets have attempts and are in no list, those with most of them first?
SELECT market_id, sum(approved + declined + failed)::BIGINT AS attempts
FROM market_minute ANTI JOIN market USING (market_id)
GROUP BY market_id
ORDER BY attempts DESC, market_id
