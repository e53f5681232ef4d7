"""What is known: the DuckDB file, what is published from it, and the analysis of both."""
