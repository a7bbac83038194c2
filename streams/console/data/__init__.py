"""Redis and Kafka as the console sees them. Knows nothing of routes."""
