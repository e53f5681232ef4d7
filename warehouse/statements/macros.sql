-- Ids are any text; a key is the UUID that the text is, or one made from its hash.
CREATE OR REPLACE TEMP MACRO id_key(id) AS CASE
    WHEN length(id) = 36 AND try_cast(id AS UUID) IS NOT NULL THEN id::UUID
    ELSE left(sha256(id), 32)::UUID END;
