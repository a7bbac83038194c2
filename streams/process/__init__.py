"""What long-running processes share: logs, threads, watchdog, metrics. Knows nothing of hot spots."""
