"""Generated pages and schemas. Knows nothing of running processes."""
