-- Which names came with events that nobody has told us of? There is no list of issuers, so all of them stand here.
SELECT kind, name, first_at, last_at, events FROM unknown_name u WHERE kind <> 'market' OR NOT EXISTS (FROM market m WHERE m.market_id = u.name)
UNION ALL
SELECT 'issuer', issuer, min(minute_at), max(minute_at), sum(count)::BIGINT FROM issuer_minute WHERE issuer <> 'unknown' GROUP BY issuer
ORDER BY kind, events DESC, name
