"""How fast a window is rebuilt from the log: ``_rebuild.py CONFIG [profile]``, in a new process.

Prints incidents per second, or, under the profiler (which slows it), the share of time of each function.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
import threading
from pathlib import Path

from benchmarks._city import AREA
from streams.areas.configured import configured_areas
from streams.configuration.load import load
from streams.messages.records import partition_of
from streams.worker.engine.rebuild import rebuild


def main(file: Path, profile: bool) -> None:
    """Measure and print."""
    configuration = load(file, {})
    areas = configured_areas(configuration.areas)
    partition = partition_of(AREA.encode(), configuration.kafka.partitions)
    profiler = cProfile.Profile()
    if profile:
        profiler.enable()
    restored = rebuild(configuration.kafka, areas, partition, threading.Event(), configuration.worker.max_record_bytes)
    profiler.disable()
    held = len(restored.monitors[AREA].window)
    result = {"held": held, "seconds": restored.seconds, "rate": held / restored.seconds}
    print(json.dumps(result | ({"profile": shares(profiler)} if profile else {})))


def shares(profiler: cProfile.Profile) -> list[tuple[str, float]]:
    """Return the functions that took most time themselves, with their share of the whole."""
    stats = pstats.Stats(profiler)
    own = {name: times[2] for name, times in stats.stats.items()}  # type: ignore[attr-defined]
    whole = sum(own.values())
    most = sorted(own, key=own.__getitem__, reverse=True)[:20]
    return [(f"{Path(file).name}:{function}", own[file, line, function] / whole) for file, line, function in most]


if __name__ == "__main__":
    main(Path(sys.argv[1]), "profile" in sys.argv[2:])
