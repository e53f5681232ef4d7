-- Which columns do the published tables have?
SELECT table_name, column_name, data_type FROM information_schema.columns WHERE list_contains($tables, table_name) AND table_schema = current_schema() ORDER BY table_name, ordinal_position
