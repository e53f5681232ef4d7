-- When does what was counted begin? Null where nothing was.
SELECT min(minute_at) AS first_at FROM nation_minute
