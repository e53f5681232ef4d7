-- Of what was met, what is listed by its name: a ten-thousandth of a kind no longer is.
CREATE OR REPLACE TEMP TABLE met_name AS
WITH placed AS (
    SELECT met.*, u.name IS NOT NULL OR row_number() OVER (PARTITION BY kind, u.name IS NULL ORDER BY name) + (SELECT count(*) FROM unknown_name k WHERE k.kind = met.kind) <= 10000 AS listed
    FROM met LEFT JOIN unknown_name u USING (kind, name)
)
SELECT kind, if(listed, name, NULL) AS name, min(first_at) AS first_at, max(last_at) AS last_at, sum(events)::BIGINT AS events FROM placed GROUP BY ALL;
