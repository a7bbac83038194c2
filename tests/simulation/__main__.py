"""``python -m tests.simulation``."""

from __future__ import annotations

from tests.simulation.run import main

main()
