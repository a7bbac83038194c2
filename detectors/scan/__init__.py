"""The scan: cylinders, their ratios, and how rare they are. Knows nothing of streams of alerts."""
