"""The sliding window: which incidents count, and when. Knows nothing of expected counts or scans."""
