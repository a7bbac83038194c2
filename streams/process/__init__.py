"""Common parts of long-running processes: logs, threads, watchdog, metrics. Knows nothing of hot spots."""
