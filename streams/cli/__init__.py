"""The command ``hotspots``: options, progress, printed results. Knows nothing of how they are computed."""

from __future__ import annotations

from streams.cli.command import main as main
