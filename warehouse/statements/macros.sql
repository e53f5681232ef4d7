-- From when single events are kept.
CREATE OR REPLACE TEMP MACRO retained_from() AS (SELECT coalesce(retained_from, '-infinity'::TIMESTAMP) FROM line);
-- More events of one buyer in one market on one day are no person's, but of an id that many share, such as that of guests.
CREATE OR REPLACE TEMP MACRO most_of_a_person() AS 300;
-- Buyers, markets and days in Seoul that had more, as far as this connection has met them. None of them becomes a person's again, so nothing that is added to
-- such a day changes an episode.
CREATE TEMP TABLE IF NOT EXISTS crowd (user_key UUID, market_id VARCHAR, day DATE);
