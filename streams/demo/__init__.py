"""Runs everything on one machine, and prints a summary. Knows nothing of the inside of the processes."""
