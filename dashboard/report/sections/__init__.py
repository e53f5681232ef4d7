"""The report's parts in the order of reading."""
