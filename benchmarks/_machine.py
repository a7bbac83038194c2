"""The machine of the measurements: its description, its load, and the core of a process."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).parent


def description() -> str:
    """Return processor, memory, system and versions, with the date and the load of the last minute."""
    gib = psutil.virtual_memory().total / 2**30
    parts = (
        f"{psutil.cpu_count()} cores of {_processor()}, {gib:.0f} GiB",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in ("faust-streaming", "aiokafka", "kafka-python", "numba")),
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load {os.getloadavg()[0]:.2f}",
    )
    return "; ".join(parts)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.processor()


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Keep the block, and the processes that it starts, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def run_apart(script: str, *arguments: str, core: int | None) -> dict[str, Any]:
    """Run a script of this folder in a new process, on one core or on any, and return the JSON that it prints."""
    with on_core(core) if core is not None else contextlib.nullcontext():
        command = [sys.executable, str(HERE / script), *arguments]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(done.stdout))
