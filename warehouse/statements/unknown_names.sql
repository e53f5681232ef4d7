-- Add what was met to the names that are listed.
MERGE INTO unknown_name t USING met_name s ON t.kind = s.kind AND t.name IS NOT DISTINCT FROM s.name
WHEN MATCHED THEN UPDATE SET first_at = least(t.first_at, s.first_at), last_at = greatest(t.last_at, s.last_at), events = t.events + s.events
WHEN NOT MATCHED THEN INSERT BY NAME;
