-- Everything that was ever counted, in attempts and KRW.
WITH declined AS (SELECT coalesce(sum(amount), 0) AS declined_amount FROM issuer_minute WHERE outcome = 'declined')
SELECT coalesce(sum(approved), 0) AS approved, coalesce(sum(approved_amount), 0) AS approved_amount, coalesce(sum(declined), 0) AS declined, any_value(declined_amount) AS declined_amount,
    coalesce(sum(reversed), 0) AS reversed, coalesce(sum(reversed_amount), 0) AS reversed_amount, coalesce(sum(failed), 0) AS failed, coalesce(sum(failed_amount), 0) AS failed_amount
FROM market_minute, declined
