"""The short form of ``make faults``: a few faults, for seconds each, and most of a minute each to set the stage.

Two of them are ordinary tests; the others run with ``make long``.
"""

from __future__ import annotations

import pytest

from benchmarks.faults.fault import SHORT
from benchmarks.faults.register import FAULTS
from benchmarks.faults.run import run

QUICK = ("broker killed (SIGKILL), back after 10 s", "Redis flushed")
LONG = (
    "worker killed at {kills} moments (SIGKILL)",
    "Kafka cut off for {cut_s:.0f} s, both ways",
    "connections to Kafka half-open",
    "45 poison records",
    "topic incidents deleted, created again after 10 s, inputs copied",
    "topic scans deleted, created again after 10 s, inputs copied",
    "partitions added to the topic incidents, inputs copied",
)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of clients in this process
@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in LONG)])
def test_nothing_is_lost_or_doubled(name: str) -> None:
    row = run(FAULTS[name], SHORT)
    assert row.verdict.is_clean, row
    assert row.verdict.revisions > 50
    assert row.recovered_s is not None, row
    assert row.words
