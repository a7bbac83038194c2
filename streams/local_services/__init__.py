"""Kafka and Valkey as child processes. Knows nothing of its callers."""
