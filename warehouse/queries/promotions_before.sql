-- Which promotions began before $end, and by what factor, where known, was more bought?
SELECT label, starts_at, ends_at, factor FROM promotion WHERE starts_at < $end AND (ends_at IS NULL OR ends_at > starts_at) ORDER BY starts_at
