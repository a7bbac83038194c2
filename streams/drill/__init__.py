"""The drill: sends a cluster of invented incidents through every process. Knows what each process shows, not how."""

from __future__ import annotations
