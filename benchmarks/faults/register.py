"""All faults: importing the modules of ``rows`` registers them."""

from __future__ import annotations

from benchmarks.faults.fault import FAULTS
from benchmarks.faults.rows import broker, clocks, configuration, network, records, redis, topics, transactions, worker

__all__ = [
    "FAULTS",
    "broker",
    "clocks",
    "configuration",
    "network",
    "records",
    "redis",
    "topics",
    "transactions",
    "worker",
]
