"""Sends alerts to on-call tools. Knows nothing of Redis."""
