"""An area's log, in Kafka or exported: reading, chain, audit, reproduction. Knows nothing of how it is written."""
