-- Who ran the platform, from when to when? The newest word on a name and its start holds.
SELECT name, starts_at, ends_at FROM operator_period ORDER BY starts_at, name
