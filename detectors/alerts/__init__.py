"""Alerts: clusters with an identity and a life. Knows neither records nor clocks."""
