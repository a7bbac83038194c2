"""Models of the expected cases, one per file."""
