"""Memory of a full window: ``_window.py NUMBER`` fills a Monitor with NUMBER incidents of 91 days.

Prints the growth of the process's resident memory in bytes per incident, counts and strata included, and the scan
record of a Monitor that holds the first NUMBER records of the topic.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time

import psutil

from benchmarks._city import AREA, cells, history_s, incidents
from detectors.area.locations import Locations
from detectors.area.neighbours import neighbours
from detectors.area.settings import AreaSettings
from detectors.restoring import Restoring
from detectors.warm_up import compile_kernels
from streams.messages import scan


def main(number: int, end_s: int) -> None:
    """Measure and print."""
    compile_kernels()
    settings, locations = AreaSettings(), Locations.from_cells(cells())
    near = neighbours(locations.points, settings.max_radius_m)
    process = psutil.Process()
    source = incidents(history_s(number, end_s), 0, seed=1)
    _give_back()
    before = process.memory_info().rss
    restoring = Restoring(AREA, settings, locations, near)
    for offset in range(number - 1):
        restoring.refill(next(source), offset, end_s)
    monitor = restoring.monitor()
    monitor.put(next(source), number - 1, end_s)
    _give_back()
    grown = process.memory_info().rss - before
    (closed,) = monitor.flush()
    record = scan.scan_record(AREA, scan.Ids(monitor.configuration_id, ""), closed, None, [])
    print(json.dumps({"bytes": grown / number, "held": len(monitor.window), "scan": scan.encode(record).decode()}))


def _give_back() -> None:
    """Return freed memory to the system, so that resident memory is memory in use."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(time.time()))
