"""The page states what a fault cost and what was not reported in time; a fault that cost nothing has no shortcoming."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from benchmarks.faults.fault import FULL
from benchmarks.faults.observe import Word
from benchmarks.faults.page import page, shortcomings
from benchmarks.faults.register import FAULTS
from benchmarks.faults.row import Row
from benchmarks.faults.verdict import Verdict

FAULT = FAULTS["broker frozen for {away_s:.0f} s (SIGSTOP)"]
GOOD = Row(
    name=FAULT.name,
    title=FAULT.name.format(**FULL._asdict()),
    family=FAULT.family,
    lasted_s=60.0,
    recovered_s=5.0,
    verdict=Verdict(revisions=100),
    words=[
        Word("metric", "Kafka | <is away>", 7.0),
        Word("health", "Kafka | <is away>", 8.0),
        Word("page", "Kafka | <is away>", 15.0),
    ],
    ends=[],
)


def changed(**fields: Any) -> Row:
    return msgspec.structs.replace(GOOD, **fields)


def test_a_fault_that_cost_nothing_has_a_line_and_no_shortcoming() -> None:
    text = page([GOOD])
    assert "1 faults, 1 survived" in text
    assert "| broker frozen for 60 s (SIGSTOP) | 0 | 0 | 5 s | metric: Kafka \\| &lt;is away>, 7 s<br>" in text
    assert "[HotspotsKafkaAway](runbooks/HotspotsKafkaAway.md)" in text


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (changed(verdict=Verdict(lost=2)), "2 lost"),
        (changed(verdict=Verdict(doubled=1)), "1 doubled"),
        (changed(verdict=Verdict(wrong=3)), "3 not as in an undisturbed run"),
        (changed(verdict=Verdict(underivable=2)), "2 alerts that cannot be derived again"),
        (changed(verdict=Verdict(not_shown=1)), "1 not in Redis as in Kafka"),
        (changed(verdict=Verdict(not_notified=1)), "1 alerts of which the on-call tool was not notified"),
        (changed(recovered_s=None), "not well again within 4 minutes"),
        (changed(words=[]), "not reported within 60 s"),
        (changed(words=[Word("log", "in time", 1.0), Word("metric", "late", 61.0)]), "not reported within 60 s"),
        (Row.failed(FAULT, FULL, "no room"), "not run: no room"),
    ],
)
def test_what_falls_short_is_stated(row: Row, why: str) -> None:
    assert shortcomings(FAULT, row) == [why]
    assert "0 survived" in page([row])
    assert f"- broker frozen for 60 s (SIGSTOP): {why}\n" in page([row])


def test_a_fault_that_is_over_soon_needs_no_report() -> None:
    assert shortcomings(FAULT, changed(lasted_s=5.0, words=[])) == []
