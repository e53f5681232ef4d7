-- The leading worker asks the others to hold their batches back while it deletes from tables that all append to: old events, once an hour.
CREATE TABLE pause (asked BOOLEAN);
INSERT INTO pause VALUES (false);
