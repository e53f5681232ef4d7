-- Which names of $kind (region, market, channel, issuer or service) are known: from the list of markets, from the contract, or from what came?
-- label is a market's own name and its place. Region 'unknown' is that of markets in no list.
FROM (
    SELECT 'region' AS kind, region AS name, '' AS label FROM market
    UNION
    SELECT 'region', 'unknown', '' FROM unknown_name u WHERE kind = 'market' AND NOT EXISTS (FROM market m WHERE m.market_id = u.name)
    UNION
    SELECT 'market', market_id, name || ' · ' || region || coalesce(' ' || district, '') FROM market
    UNION
    SELECT 'market', name, '' FROM unknown_name u WHERE kind = 'market' AND NOT EXISTS (FROM market m WHERE m.market_id = u.name)
    UNION
    SELECT kind, name, '' FROM unknown_name WHERE kind IN ('channel', 'service')
    UNION
    SELECT 'channel', unnest(['card', 'mobile']), ''
    UNION
    SELECT 'service', unnest(['login', 'queue', 'payment', 'registration', 'top_up', 'refund']), ''
    UNION
    SELECT 'issuer', issuer, '' FROM issuer_minute WHERE issuer <> 'unknown'
)
SELECT name, label WHERE kind = $kind AND name IS NOT NULL
ORDER BY name
