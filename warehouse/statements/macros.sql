-- From when single events are kept.
CREATE OR REPLACE TEMP MACRO retained_from() AS (SELECT coalesce(retained_from, '-infinity'::TIMESTAMP) FROM line);
