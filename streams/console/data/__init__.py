"""The console's access to Redis and Kafka. Knows nothing of routes."""
