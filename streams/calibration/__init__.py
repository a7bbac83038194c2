"""Makes calibrations, and reads and writes them as files. Knows nothing of its callers."""
