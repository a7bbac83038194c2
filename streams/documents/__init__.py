"""Generated pages and schemas. Knows nothing of any running process."""
