-- Which markets open on a five-day cycle, and on which days?
SELECT market_id, cycle FROM market WHERE cycle IS NOT NULL ORDER BY market_id
