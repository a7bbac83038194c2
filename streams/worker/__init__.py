"""One worker process. Does not know the layout of Redis."""
