-- Duplicates within the batch: the first by partition and offset stays. Run only where there are some, for it sorts.
CREATE OR REPLACE TEMP TABLE {table} AS SELECT DISTINCT ON (event_id) * FROM {table} ORDER BY event_id, source, offset_at;
