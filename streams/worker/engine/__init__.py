"""The thread that owns the Monitors. It does not know the threads beside it."""
