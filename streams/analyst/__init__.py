"""Files of incidents, without a broker. Nothing here knows the worker."""
