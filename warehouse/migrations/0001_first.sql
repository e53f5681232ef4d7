-- Times are UTC; days are days in Asia/Seoul; money is KRW.
-- Keys are logical: no PRIMARY KEY on growing tables (docs/architecture.md has the measurements).

-- What people said, from the topic `commands`.
CREATE TABLE command (command_id UUID, occurred_at TIMESTAMP, actor VARCHAR, kind VARCHAR, payload JSON, applied_at TIMESTAMP, outcome VARCHAR);
CREATE TABLE market (market_id VARCHAR, name VARCHAR, region VARCHAR, district VARCHAR, latitude DOUBLE, longitude DOUBLE, cycle VARCHAR, merchants INTEGER);
CREATE TABLE operator_period (name VARCHAR, starts_at TIMESTAMP, ends_at TIMESTAMP);
CREATE TABLE promotion (label VARCHAR, starts_at TIMESTAMP, ends_at TIMESTAMP, factor DOUBLE);
CREATE TABLE exclusion (label VARCHAR, starts_at TIMESTAMP, ends_at TIMESTAMP, market_id VARCHAR);
CREATE TABLE maintenance (label VARCHAR, service VARCHAR, starts_at TIMESTAMP, ends_at TIMESTAMP, announced_at TIMESTAMP);
CREATE TABLE claim (source VARCHAR, incident_id VARCHAR, amount BIGINT, claimed_at TIMESTAMP, note VARCHAR);
CREATE TABLE survey (label VARCHAR, incident_id VARCHAR, substitution DOUBLE, low DOUBLE, high DOUBLE, note VARCHAR);

-- Every accepted event, kept for a set number of days. user_key is an HMAC.
CREATE TABLE payment (event_id UUID, purchase_id UUID, attempt INTEGER, occurred_at TIMESTAMP, market_id VARCHAR, merchant_id VARCHAR, user_key UUID,
    channel VARCHAR, status VARCHAR, amount BIGINT, response_code VARCHAR, issuer VARCHAR, latency_ms BIGINT, reverses UUID);
CREATE TABLE failure (event_id UUID, purchase_id UUID, attempt INTEGER, occurred_at TIMESTAMP, service VARCHAR, code VARCHAR, market_id VARCHAR, merchant_id VARCHAR,
    user_key UUID, channel VARCHAR, amount BIGINT, issuer VARCHAR);
CREATE TABLE load_report (occurred_at TIMESTAMP, service VARCHAR, attempts BIGINT, succeeded BIGINT, failed BIGINT, abandoned BIGINT, queue_length BIGINT, wait_ms_p50 BIGINT, wait_ms_p95 BIGINT);

-- Aggregates, kept for ever.
CREATE TABLE market_minute (minute_at TIMESTAMP, market_id VARCHAR, channel VARCHAR, approved BIGINT, approved_amount BIGINT, declined BIGINT,
    reversed BIGINT, reversed_amount BIGINT, failed BIGINT, failed_amount BIGINT);
CREATE TABLE issuer_minute (minute_at TIMESTAMP, issuer VARCHAR, region VARCHAR, channel VARCHAR, outcome VARCHAR, code VARCHAR, count BIGINT, amount BIGINT,
    latency_under_300 BIGINT, latency_under_1000 BIGINT, latency_under_3000 BIGINT, latency_under_10000 BIGINT, latency_over_10000 BIGINT);
CREATE TABLE service_minute (minute_at TIMESTAMP, service VARCHAR, code VARCHAR, errors BIGINT);
CREATE TABLE load_minute (minute_at TIMESTAMP, service VARCHAR, attempts BIGINT, succeeded BIGINT, failed BIGINT, abandoned BIGINT, queue_length BIGINT, wait_ms_p50 BIGINT, wait_ms_p95 BIGINT);
CREATE TABLE merchant_day (day DATE, merchant_id VARCHAR, market_id VARCHAR, approved BIGINT, amount BIGINT, failed BIGINT, failed_amount BIGINT);

-- One row a purchase that failed at least once; without purchase_id, an episode of a buyer in a market.
CREATE TABLE failed_purchase (purchase_id UUID, user_key UUID, market_id VARCHAR, channel VARCHAR, first_failure_at TIMESTAMP, last_failure_at TIMESTAMP,
    failures BIGINT, amount BIGINT, recovered_at TIMESTAMP, recovered_amount BIGINT);

-- Incidents: the newest version of each is the row itself.
CREATE TABLE incident (incident_id VARCHAR, kind VARCHAR, scope VARCHAR, scope_name VARCHAR, onset_at TIMESTAMP, detected_at TIMESTAMP, last_seen_at TIMESTAMP,
    ended_at TIMESTAMP, peak_failure_rate DOUBLE, evidence JSON, declared_by VARCHAR, merged_into VARCHAR, version INTEGER);

-- Progress. Written in the transaction of the rows: this, and not Kafka's offset, is the truth.
CREATE TABLE source_offset (topic VARCHAR, partition INTEGER, next_offset BIGINT, topic_id VARCHAR, event_time_max TIMESTAMP,
    accepted BIGINT, duplicate BIGINT, late BIGINT, refused BIGINT, lost BIGINT);
CREATE TABLE rejected (topic VARCHAR, partition INTEGER, offset_at BIGINT, reason VARCHAR, detail VARCHAR, rejected_at TIMESTAMP);
CREATE TABLE lost_range (topic VARCHAR, partition INTEGER, from_offset BIGINT, to_offset BIGINT, cause VARCHAR, found_at TIMESTAMP);
CREATE TABLE hour_version (hour_at TIMESTAMP, version BIGINT);
CREATE TABLE table_version (name VARCHAR, version BIGINT);
CREATE TABLE line (warehouse_id VARCHAR, created_at TIMESTAMP, watermark TIMESTAMP, detected_through TIMESTAMP, retained_from TIMESTAMP, clock_at TIMESTAMP);
