-- What are the totals from $start to $end? One row, zeros where nothing was.
SELECT
    coalesce(sum(approved_amount), 0)::BIGINT AS sales,
    coalesce(sum(reversed_amount), 0)::BIGINT AS reversed_amount,
    coalesce(sum(approved), 0)::BIGINT AS approved,
    coalesce(sum(declined), 0)::BIGINT AS declined,
    coalesce(sum(failed), 0)::BIGINT AS failed,
    count(DISTINCT market_id) AS markets
FROM market_minute
WHERE minute_at >= $start AND minute_at < $end
