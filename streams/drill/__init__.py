"""The drill: a cluster of invented incidents through every process. Knows what each of them shows, not how it works."""

from __future__ import annotations
