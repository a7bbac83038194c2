"""TOML and environment make one frozen Configuration. Knows nothing of how it is used."""
