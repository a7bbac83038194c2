"""How a false-alert rate is kept: null histories go through the same scans and tracker, and the alerts are counted."""
