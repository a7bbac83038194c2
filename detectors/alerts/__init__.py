"""Alerts: clusters with an identity and a life. Knows nothing of records or clocks."""
