"""The statistics of hot spots. Pure: arrays in, results out; no input or output, no clock, no global state."""
