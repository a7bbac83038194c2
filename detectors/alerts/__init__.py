"""Alerts: clusters with an identity and a life. They know neither records nor clocks."""
