"""The statistics of hot spots. Pure: no input or output, no clock, no global state."""
