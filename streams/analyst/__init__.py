"""Files of incidents, without a broker. Knows nothing of the worker."""
