"""TOML and environment to one frozen Configuration. Knows nothing of what is done with it."""
