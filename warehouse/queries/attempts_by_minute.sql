-- How many attempts to pay were made in each minute from $start to $end, and how many failed? Silent minutes are absent.
SELECT minute_at, sum(approved + declined + failed)::BIGINT AS attempts, sum(declined)::BIGINT AS declined, sum(failed)::BIGINT AS failed, sum(approved_amount)::BIGINT AS sales
FROM nation_minute
WHERE minute_at >= $start AND minute_at < $end
GROUP BY minute_at
ORDER BY minute_at
