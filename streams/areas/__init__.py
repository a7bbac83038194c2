"""An area with everything that its Monitor reads: settings, locations, calibration, health. Knows nothing of Kafka."""
