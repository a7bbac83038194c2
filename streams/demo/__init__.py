"""Everything on one machine, and the sum at the end. Knows nothing of the inside of the processes it runs."""
