"""Inflict every fault and write ``docs/reliability.md`` and its picture: ``python -m benchmarks.faults``."""

from __future__ import annotations

from benchmarks.faults.command import main

if __name__ == "__main__":
    main()
