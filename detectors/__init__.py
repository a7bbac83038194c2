"""The statistics of hot spots. The package is pure: it does no input or output, asks no clock, has no global state."""
