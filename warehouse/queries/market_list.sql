-- Which markets are known, where are they, and when are their market days?
SELECT market_id, name AS market, region, coalesce(district, '') AS district, cycle, merchants FROM market ORDER BY region, district, name, market_id
