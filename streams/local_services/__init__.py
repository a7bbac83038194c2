"""Kafka and Valkey as child processes. Knows nothing of who uses them."""
