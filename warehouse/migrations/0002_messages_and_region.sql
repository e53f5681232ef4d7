-- What the topic `incidents` has still to be told: written with the change, removed after it was sent, so that no crash loses a message.
CREATE TABLE incident_message (number BIGINT, action VARCHAR, incident_id VARCHAR, kind VARCHAR, scope VARCHAR, scope_name VARCHAR, onset_at TIMESTAMP,
    detected_at TIMESTAMP, last_seen_at TIMESTAMP, ended_at TIMESTAMP, peak_failure_rate DOUBLE, evidence JSON, declared_by VARCHAR, merged_into VARCHAR, version INTEGER);

-- The region that a failure was counted in: taken back there, whatever the market list says by then.
ALTER TABLE failure ADD COLUMN region VARCHAR;
UPDATE failure SET region = market.region FROM market WHERE market.market_id = failure.market_id;
