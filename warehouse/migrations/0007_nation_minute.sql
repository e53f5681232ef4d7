-- The nation's minutes, published by themselves: a month of them is asked for often, and has a thousandth of the rows.
CREATE VIEW nation_minute AS
SELECT minute_at, channel, sum(approved)::BIGINT AS approved, sum(approved_amount)::BIGINT AS approved_amount, sum(declined)::BIGINT AS declined,
    sum(reversed)::BIGINT AS reversed, sum(reversed_amount)::BIGINT AS reversed_amount, sum(failed)::BIGINT AS failed, sum(failed_amount)::BIGINT AS failed_amount
FROM market_minute GROUP BY ALL;
