"""Out: pages for people, made from what the warehouse has published."""
