"""An area as a Monitor watches it: settings, locations, calibration, health. Knows nothing of Kafka."""
