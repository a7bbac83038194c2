"""A calibration as a file, and how one is made. Knows nothing of its callers."""
