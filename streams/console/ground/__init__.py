"""The map under the alerts: cells, layers, names of places. Knows nothing of alerts."""
