"""One worker process. Knows nothing of how Redis is laid out."""
