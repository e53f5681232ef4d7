-- Alerts that the webhook's receiver has still to accept; a row goes when it did. Times are UTC by the wall clock.
CREATE TABLE alert (alert_id UUID, number BIGINT, body VARCHAR, made_at TIMESTAMP, tries INTEGER, next_at TIMESTAMP, failure VARCHAR);
