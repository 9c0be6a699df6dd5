"""The helper that hosts start, spoken to over its pipes."""
