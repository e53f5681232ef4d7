-- What are the markets called, and where are they?
SELECT market_id, name AS market, region FROM market ORDER BY market_id
