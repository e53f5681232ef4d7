-- On which days of the month, by last digit, do markets have their market day? Only what reads as such.
SELECT market_id, cycle AS days FROM market WHERE regexp_full_match(cycle, '\s*\d\s*(,\s*\d\s*)*') ORDER BY market_id
