"""An area as it is watched: settings, locations, calibration, health. Knows nothing of Kafka."""
