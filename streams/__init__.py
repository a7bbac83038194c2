"""The shell around the statistics: Kafka, Redis, Prometheus, files and the command line."""
