"""The map under the alerts: locations, layers, names of places. Knows nothing about alerts."""
