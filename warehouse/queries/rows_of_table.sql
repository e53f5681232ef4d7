-- How many rows does a published table have?
SELECT count(*)::BIGINT AS rows FROM query_table($table)
