"""The copy of alerts in Redis: its keys, and the script that applies a change. Knows nothing of threads."""
