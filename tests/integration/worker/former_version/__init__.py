"""The log of a former version, and how it is recorded, kept and written into another Kafka."""
