-- Which maintenance was to touch $start to $end?
SELECT label, service, starts_at, ends_at, announced_at FROM maintenance
WHERE starts_at < $end AND (ends_at IS NULL OR ends_at > $start)
ORDER BY starts_at, label
