"""Alerts to on-call tools. Knows nothing of Redis."""
