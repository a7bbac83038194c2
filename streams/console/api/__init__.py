"""The console's routes. Knows nothing of how Redis and Kafka are reached."""
