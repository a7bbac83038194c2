"""A calibration as a file, and how one is made. Nothing here knows its callers."""
