"""The statistics of hot spots. Pure: arrays and values in, results out; no input or output, no clock, no global state."""
