"""The command ``hotspots``: options, progress, printed results. Does not compute results itself."""

from __future__ import annotations

from streams.cli.command import main as main
