-- Which maintenance was announced, or began, from $start to $end?
SELECT label, service, starts_at, ends_at, announced_at FROM maintenance
WHERE (announced_at >= $start AND announced_at < $end) OR (starts_at >= $start AND starts_at < $end)
ORDER BY announced_at, starts_at
