"""Models of what is usual, one file each, all giving an ``Expected``."""
