"""Keeps a rate of false alerts: null histories go through the same scans and tracker, and alerts are counted."""
