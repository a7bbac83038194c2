"""Reads TOML and environment into one frozen Configuration. Does not know how the settings are used."""
