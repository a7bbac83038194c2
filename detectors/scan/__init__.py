"""The scan: cylinders, their ratios, and how rare they are. Knows no alerts."""
