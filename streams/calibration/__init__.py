"""A calibration as a file, and how one is made. Knows nothing of who asks for it."""
