"""The faults that the worker once had, each put back by undoing its mend, and the faults of a day that bring it out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

from tests.simulation import clients


class Known(NamedTuple):
    """A known fault: ``put_back`` undoes its mend, ``drawn`` are the faults of a day, ``says`` is part of the failure.

    ``is_mended``: without the mend undone, days with these faults pass.
    """

    put_back: Callable[[], AbstractContextManager[object]]
    drawn: tuple[str, ...]
    says: str
    is_mended: bool = True


@contextmanager
def undecodable() -> Iterator[None]:
    """The clients raise at a batch that they cannot decode, and come back to it for ever."""
    clients.PASSES_OVER[0] = False
    try:
        yield
    finally:
        clients.PASSES_OVER[0] = True


KNOWN = {
    "a batch that stops every worker": Known(undecodable, ("undecodable",), "has ended with exit code 1"),
    "a clock that is ahead": Known(nullcontext, ("clock_wrong",), "nobody says so", False),
    "the group's offsets believed": Known(nullcontext, ("offsets_reset",), "an undisturbed run gives", False),
    "lost scans taken for a new deployment": Known(nullcontext, ("scans_lost",), "has the number 1", False),
    "a worker that Kafka's absence ends": Known(nullcontext, ("broker_away",), "has ended with exit code 1", False),
    "partitions added and not read": Known(nullcontext, ("partitions_added",), "a new partition is not read", False),
    "keys of Redis that do not come back": Known(nullcontext, ("keys_evicted",), "Redis:", False),
    "memory behind an idle neighbour": Known(nullcontext, ("flood",), "in memory that are on record", False),
    "a worker that Redis refuses": Known(nullcontext, ("wrong_password",), "Redis refuses it", False),
    "a transaction that tears": Known(nullcontext, ("late_copy",), "no scan record names it", False),
}
UNMENDED = {name for known in KNOWN.values() if not known.is_mended for name in known.drawn} | {"cut", "disk_full"}
"""Faults that ordinary days leave out, because the worker does not survive them."""
