-- A lake is written by several workers. Where one deletes from a table, or updates it, no other may insert meanwhile, whatever the rows; so what several
-- change they append to `fresh_0` or `fresh_1`, one of which is open at a time, and the leading worker adds the other up into `settled` (warehouse/settling.py).
-- The table's own name is a view that adds up all three.
-- DuckLake cannot write out what it holds of a table that had fewer columns once (flush_inlined_data: "Referenced column … not found").
CREATE OR REPLACE TABLE failure AS FROM failure LIMIT 0;

CREATE SCHEMA settled;
CREATE SCHEMA fresh_0;
CREATE SCHEMA fresh_1;
DROP VIEW nation_minute;

CREATE TABLE settled.market_minute AS SELECT * FROM market_minute LIMIT 0;
CREATE TABLE fresh_0.market_minute AS SELECT * FROM market_minute LIMIT 0;
CREATE TABLE fresh_1.market_minute AS SELECT * FROM market_minute LIMIT 0;
DROP TABLE market_minute;
CREATE VIEW market_minute AS
SELECT minute_at, market_id, channel, sum("approved")::BIGINT AS "approved", sum("approved_amount")::BIGINT AS "approved_amount", sum("declined")::BIGINT AS "declined", sum("reversed")::BIGINT AS "reversed", sum("reversed_amount")::BIGINT AS "reversed_amount", sum("failed")::BIGINT AS "failed", sum("failed_amount")::BIGINT AS "failed_amount"
FROM (FROM settled.market_minute UNION ALL FROM fresh_0.market_minute UNION ALL FROM fresh_1.market_minute)
GROUP BY ALL HAVING sum("approved") <> 0 OR sum("approved_amount") <> 0 OR sum("declined") <> 0 OR sum("reversed") <> 0 OR sum("reversed_amount") <> 0 OR sum("failed") <> 0 OR sum("failed_amount") <> 0;

CREATE TABLE settled.issuer_minute AS SELECT * FROM issuer_minute LIMIT 0;
CREATE TABLE fresh_0.issuer_minute AS SELECT * FROM issuer_minute LIMIT 0;
CREATE TABLE fresh_1.issuer_minute AS SELECT * FROM issuer_minute LIMIT 0;
DROP TABLE issuer_minute;
CREATE VIEW issuer_minute AS
SELECT minute_at, issuer, region, channel, outcome, code, sum("count")::BIGINT AS "count", sum("amount")::BIGINT AS "amount", sum("latency_under_300")::BIGINT AS "latency_under_300", sum("latency_under_1000")::BIGINT AS "latency_under_1000", sum("latency_under_3000")::BIGINT AS "latency_under_3000", sum("latency_under_10000")::BIGINT AS "latency_under_10000", sum("latency_over_10000")::BIGINT AS "latency_over_10000"
FROM (FROM settled.issuer_minute UNION ALL FROM fresh_0.issuer_minute UNION ALL FROM fresh_1.issuer_minute)
GROUP BY ALL HAVING sum("count") <> 0 OR sum("amount") <> 0 OR sum("latency_under_300") <> 0 OR sum("latency_under_1000") <> 0 OR sum("latency_under_3000") <> 0 OR sum("latency_under_10000") <> 0 OR sum("latency_over_10000") <> 0;

CREATE TABLE settled.service_minute AS SELECT * FROM service_minute LIMIT 0;
CREATE TABLE fresh_0.service_minute AS SELECT * FROM service_minute LIMIT 0;
CREATE TABLE fresh_1.service_minute AS SELECT * FROM service_minute LIMIT 0;
DROP TABLE service_minute;
CREATE VIEW service_minute AS
SELECT minute_at, service, code, sum("errors")::BIGINT AS "errors"
FROM (FROM settled.service_minute UNION ALL FROM fresh_0.service_minute UNION ALL FROM fresh_1.service_minute)
GROUP BY ALL HAVING sum("errors") <> 0;

CREATE TABLE settled.merchant_day AS SELECT * FROM merchant_day LIMIT 0;
CREATE TABLE fresh_0.merchant_day AS SELECT * FROM merchant_day LIMIT 0;
CREATE TABLE fresh_1.merchant_day AS SELECT * FROM merchant_day LIMIT 0;
DROP TABLE merchant_day;
CREATE VIEW merchant_day AS
SELECT day, merchant_id, market_id, sum("approved")::BIGINT AS "approved", sum("amount")::BIGINT AS "amount", sum("failed")::BIGINT AS "failed", sum("failed_amount")::BIGINT AS "failed_amount"
FROM (FROM settled.merchant_day UNION ALL FROM fresh_0.merchant_day UNION ALL FROM fresh_1.merchant_day)
GROUP BY ALL HAVING sum("approved") <> 0 OR sum("amount") <> 0 OR sum("failed") <> 0 OR sum("failed_amount") <> 0;

CREATE TABLE settled.hour_version AS SELECT * FROM hour_version LIMIT 0;
CREATE TABLE fresh_0.hour_version AS SELECT * FROM hour_version LIMIT 0;
CREATE TABLE fresh_1.hour_version AS SELECT * FROM hour_version LIMIT 0;
DROP TABLE hour_version;
CREATE VIEW hour_version AS
SELECT hour_at, sum("version")::BIGINT AS "version"
FROM (FROM settled.hour_version UNION ALL FROM fresh_0.hour_version UNION ALL FROM fresh_1.hour_version)
GROUP BY ALL HAVING sum("version") <> 0;

CREATE TABLE settled.table_version AS SELECT * FROM table_version LIMIT 0;
CREATE TABLE fresh_0.table_version AS SELECT * FROM table_version LIMIT 0;
CREATE TABLE fresh_1.table_version AS SELECT * FROM table_version LIMIT 0;
DROP TABLE table_version;
CREATE VIEW table_version AS
SELECT name, sum("version")::BIGINT AS "version"
FROM (FROM settled.table_version UNION ALL FROM fresh_0.table_version UNION ALL FROM fresh_1.table_version)
GROUP BY ALL HAVING sum("version") <> 0;

CREATE TABLE settled.unknown_name AS SELECT * FROM unknown_name LIMIT 0;
CREATE TABLE fresh_0.unknown_name AS SELECT * FROM unknown_name LIMIT 0;
CREATE TABLE fresh_1.unknown_name AS SELECT * FROM unknown_name LIMIT 0;
DROP TABLE unknown_name;
CREATE VIEW unknown_name AS
SELECT kind, name, min(first_at) AS first_at, max(last_at) AS last_at, sum("events")::BIGINT AS "events"
FROM (FROM settled.unknown_name UNION ALL FROM fresh_0.unknown_name UNION ALL FROM fresh_1.unknown_name)
GROUP BY ALL HAVING sum("events") <> 0;

-- Rows that are written anew: one that is outdated is appended once more with -1 copy.
CREATE TABLE settled.failed_purchase AS SELECT *, 0::BIGINT AS copies FROM failed_purchase LIMIT 0;
CREATE TABLE fresh_0.failed_purchase AS SELECT *, 0::BIGINT AS copies FROM failed_purchase LIMIT 0;
CREATE TABLE fresh_1.failed_purchase AS SELECT *, 0::BIGINT AS copies FROM failed_purchase LIMIT 0;
DROP TABLE failed_purchase;
CREATE VIEW failed_purchase_copy AS FROM (FROM settled.failed_purchase UNION ALL FROM fresh_0.failed_purchase UNION ALL FROM fresh_1.failed_purchase);
CREATE VIEW failed_purchase AS SELECT * EXCLUDE (copies) FROM (
    SELECT * EXCLUDE (copies), sum(copies) AS copies FROM failed_purchase_copy GROUP BY ALL HAVING sum(copies) > 0
);

CREATE VIEW nation_minute AS
SELECT minute_at, channel, sum(approved)::BIGINT AS approved, sum(approved_amount)::BIGINT AS approved_amount, sum(declined)::BIGINT AS declined,
    sum(reversed)::BIGINT AS reversed, sum(reversed_amount)::BIGINT AS reversed_amount, sum(failed)::BIGINT AS failed, sum(failed_amount)::BIGINT AS failed_amount
FROM market_minute GROUP BY ALL;

-- Progress of payments and errors is a table for each number of a partition, that of other topics one for each: two workers that set progress in the same
-- table conflict, whatever the row, and others do not. A failure counts by payments and errors of its number together. `source_offset` is a view over them.
CREATE SCHEMA progress;
CREATE TABLE progress.none AS FROM source_offset LIMIT 0;
DROP TABLE source_offset;
CREATE VIEW source_offset AS FROM progress.none;

-- Who leads, for how many terms there have been leaders, how often this one wrote, and which of fresh_0 and fresh_1 is open. Each transaction of a leader
-- updates this row, so that of two leaders one is refused.
CREATE TABLE leader (worker VARCHAR, term BIGINT, turn BIGINT, open_part INTEGER);
INSERT INTO leader VALUES (NULL, 0, 0, 0);
INSERT INTO line SELECT uuid()::VARCHAR, now()::TIMESTAMP, NULL, NULL, NULL, NULL;
