"""Live records at a steady rate: ``_feed.py CONFIG RATE SECONDS FIRST``, in a separate process so that it keeps time.

Prints the records per second that it reached.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks._city import rows
from streams.analyst.replay import feed
from streams.configuration.load import load


def main(file: Path, rate: float, seconds: float, first: int) -> None:
    """Send records for ``seconds``, numbered from ``first``."""
    made_s = time.time()
    # All are made before the first is sent, because making them meanwhile would delay the sending.
    made = list(rows((made_s + number / rate for number in range(int(rate * seconds))), first, seed=2))
    begin_s = time.time()
    sent = feed(made, load(file, {}).kafka, speed=1.0)
    print(json.dumps({"rate": sent / (time.time() - begin_s)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
