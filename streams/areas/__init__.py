"""An area as a Monitor watches it: settings, locations, calibration, health. Nothing here knows Kafka."""
