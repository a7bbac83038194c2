"""Kafka: connections, topics, reading a stretch of a partition. Knows nothing of what records mean."""
