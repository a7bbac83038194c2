"""What was measured of one fault."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from benchmarks.faults.fault import Fault, Form
from benchmarks.faults.observe import CHANNELS, DOWN_METRIC, NO_ANSWER, Word
from benchmarks.faults.verdict import Verdict


class Row(msgspec.Struct, kw_only=True):
    """What was measured: ``lasted_s`` from the begin of the fault to its end, ``recovered_s`` from there until every
    incident is on record, every worker ready and Redis complete (None: not within the limit). ``ends``: exit codes.
    """

    name: str
    title: str
    family: str
    lasted_s: float
    recovered_s: float | None
    verdict: Verdict
    words: list[Word]
    ends: list[int]
    failure: str = ""
    measured_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))

    @classmethod
    def failed(cls, fault: Fault, form: Form, failure: str) -> Row:
        """Return the row of a fault that could not be inflicted."""
        return cls(
            name=fault.name,
            title=fault.name.format(**form._asdict()),
            family=fault.family,
            lasted_s=0.0,
            recovered_s=None,
            verdict=Verdict(),
            words=[],
            ends=[],
            failure=failure,
        )

    def firsts(self) -> list[Word]:
        """Return the first word of each channel that spoke; that no process answers counts if there is no other."""
        found = []
        for channel in CHANNELS:
            words = [each for each in self.words if each.channel == channel]
            telling = [each for each in words if each.text not in (DOWN_METRIC, NO_ANSWER)]
            found += (telling or words)[:1]
        return found
