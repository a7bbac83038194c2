"""Everything on one machine, and a summary. Knows nothing of the inside of the processes that it runs."""
