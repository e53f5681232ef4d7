-- Ids are any text; a key is the UUID that the text is, or one made from its hash.
CREATE OR REPLACE TEMP MACRO id_key(id) AS coalesce(CASE WHEN length(id) = 36 THEN try_cast(id AS UUID) END, left(sha256(id), 32)::UUID);
-- From when single events are kept.
CREATE OR REPLACE TEMP MACRO retained_from() AS (SELECT coalesce(retained_from, '-infinity'::TIMESTAMP) FROM line);
