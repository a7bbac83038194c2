"""What was measured of one fault."""

from __future__ import annotations

import msgspec

from benchmarks.faults.fault import Fault, Form
from benchmarks.faults.observe import CHANNELS, Word
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
        """Return the first word of each channel that spoke."""
        found = (next((each for each in self.words if each.channel == channel), None) for channel in CHANNELS)
        return [each for each in found if each is not None]
