-- Who ran the platform, from when to when? Starts differ.
SELECT name, starts_at, ends_at FROM operator_period ORDER BY starts_at, name
