-- Editions of loss reports as they were issued: what a later state says does not change them. Amounts are KRW, null where there was no estimate.
CREATE TABLE report_edition (edition_id UUID, incident_id VARCHAR, stage VARCHAR, issued_at TIMESTAMP, issued_by VARCHAR, lost BIGINT, low BIGINT, high BIGINT,
    manifest_sequence BIGINT, inputs VARCHAR, document VARCHAR, note VARCHAR);
