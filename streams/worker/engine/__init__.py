"""The thread that owns the Monitors. Knows nothing of the threads beside it."""
