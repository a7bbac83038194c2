"""Kafka: connections, topics, reading part of a partition. Knows nothing of what records mean."""
