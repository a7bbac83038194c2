"""TOML and environment make one frozen Configuration. Nothing here knows how it is used."""
