-- Names that came with events and that neither the market list nor the contract knows. Without a name: those beyond what is listed one by one.
CREATE TABLE unknown_name (kind VARCHAR, name VARCHAR, first_at TIMESTAMP, last_at TIMESTAMP, events BIGINT);
