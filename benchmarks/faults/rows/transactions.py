"""Ends of transactions that come late, twice, or after a later transaction has begun."""

from __future__ import annotations

import asyncio

from benchmarks.faults.fault import Inflict, Setting, fault
from benchmarks.faults.stage import Stage
from tests.integration.wire_proxy import END_TXN, Request, WireProxy

SHARE = 4
"""One end of a transaction in so many meets with the fault."""
LATE_S = 1.5
"""Time by which a request is late, in seconds: more than the worker's next transaction takes."""


class EveryFourth:
    """What happens to every fourth end of a transaction, once it is switched on."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.is_on = False
        self._seen = 0

    async def __call__(self, proxy: WireProxy, request: Request) -> bool:
        """Decide about a request; False cuts the client's connection."""
        self._seen += self.is_on and request.api_key == END_TXN
        if not self.is_on or request.api_key != END_TXN or self._seen % SHARE:
            return True
        proxy.done[self.kind] += 1
        if self.kind == "late":
            await asyncio.sleep(LATE_S)
            return True
        proxy.send_late(request, LATE_S)
        return self.kind == "doubled"


def switched(fate: EveryFourth) -> Inflict:
    """Return what switches the fate on for a while."""

    def inflict(stage: Stage) -> None:
        fate.is_on = True
        stage.hold(stage.form.away_s)
        fate.is_on = False

    return inflict


KINDS = {"late": "late", "doubled": "doubled, the second late", "overtaken": "overtaken by its repetition"}
for kind, what in KINDS.items():
    fate = EveryFourth(kind)
    fault(f"end of a transaction {what}, one in four", setting=Setting(fate=fate))(switched(fate))
