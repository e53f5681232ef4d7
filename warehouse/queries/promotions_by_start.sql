-- Which promotions were or will be on?
SELECT label, starts_at, ends_at, factor FROM promotion ORDER BY starts_at
