"""The scan: cylinders, their ratios, and how rare they are. Independent of alerts."""
