"""The short form of ``make faults``: a few faults, for seconds each. The whole of it takes half an hour."""

from __future__ import annotations

import pytest

from benchmarks.faults.fault import SHORT
from benchmarks.faults.register import FAULTS
from benchmarks.faults.run import run

CHOSEN = (
    "worker killed at {kills} moments (SIGKILL)",
    "broker killed (SIGKILL), back after 10 s",
    "Kafka cut off for {cut_s:.0f} s, both ways",
    "Redis flushed",
    "45 poison records",
)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of clients in this process
@pytest.mark.parametrize("name", CHOSEN)
def test_nothing_is_lost_or_doubled(name: str) -> None:
    row = run(FAULTS[name], SHORT)
    assert row.verdict.is_clean, row
    assert row.verdict.revisions > 50
    assert row.recovered_s is not None, row
    assert row.words
