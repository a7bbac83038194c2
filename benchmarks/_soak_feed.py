"""Live records for as long as wanted: ``_soak_feed.py CONFIG RATE SECONDS IDS``, in a separate process.

After ``IDS`` incidents the same ids come again, with new times and places, so that the window stays as large as it is.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks._city import AREA, incidents
from streams.analyst.incident_file import Row
from streams.analyst.replay import feed
from streams.configuration.load import load


def rows(rate: float, seconds: float, ids: int) -> Iterator[Row]:
    """Yield the records of ``seconds``, a round of ``ids`` after the other."""
    begin_s, number = time.time(), int(rate * seconds)
    for turn in itertools.count():
        first = turn * ids
        times_s = (begin_s + each / rate for each in range(first, min(first + ids, number)))
        for incident in incidents(times_s, 0, seed=turn):
            assert incident.occurred_at is not None
            revised = msgspec.structs.replace(incident, id=f"soak-{incident.id}")
            yield Row(AREA.encode(), msgspec.json.encode(revised), incident.occurred_at.timestamp())
        if first + ids >= number:
            return


if __name__ == "__main__":
    feed(rows(float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])), load(Path(sys.argv[1]), {}).kafka, speed=1.0)
