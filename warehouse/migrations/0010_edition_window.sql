-- The window that an edition was about, as it was then: a corrected incident has another. Null for editions that were issued before it was kept.
-- A table of its own columns from the start, since DuckLake cannot write out one that had fewer columns once (0008_lake.sql).
CREATE OR REPLACE TABLE report_edition AS SELECT *, NULL::TIMESTAMP AS window_start, NULL::TIMESTAMP AS window_end FROM report_edition;
