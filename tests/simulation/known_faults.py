"""The faults that the worker once had, each put back by undoing its mend, and the faults of a day that bring it out.

A mend is undone by patches. While the target of a patch does not exist, the mend is not in this tree: the fault is
found without a patch, and ordinary days leave out what brings it out.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple
from unittest.mock import patch


async def _committed(_worker: Any, _offsets: Any) -> dict[int, int]:
    """Where the worker says that partitions are read from: nowhere, so that the group's offsets count."""
    return {}


def _cover(inbox: Any, covered: Mapping[str | None, int]) -> None:
    """Keep the records that are on record."""
    inbox._covered = covered
    inbox._acknowledge()


def _machine_time(_believed: Any, worker_s: float, _monotonic_s: float) -> Any:
    """Believe the worker's clock."""
    return pkgutil.resolve_name("streams.worker.engine.believed_time.Reading")(worker_s)


class Known(NamedTuple):
    """A known fault: ``drawn`` are the faults of a day, ``says`` is a pattern in the failure.

    ``undone``: by the name of what the mend has brought, what stands in for it; ``module``: one that it has brought.
    """

    drawn: tuple[str, ...]
    says: str
    undone: Mapping[str, object]
    module: str = ""

    @property
    def is_mended(self) -> bool:
        """Whether the mend is in this tree, so that days with these faults pass."""
        if self.module and find_spec(self.module) is None:
            return False
        return bool(self.undone) and all(map(_exists, self.undone))

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Undo the mend."""
        with ExitStack() as patches:
            for name, stand_in in self.undone.items() if self.is_mended else ():
                patches.enter_context(patch(name, stand_in))
            yield


def _exists(name: str) -> bool:
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


KNOWN = {
    "a batch that stops every worker": Known(
        ("undecodable",), "has ended with exit code 1", {"tests.simulation.clients.PASSES_OVER": [False]}
    ),
    "a clock that is ahead": Known(
        ("clock_wrong",),
        "nobody says so|not on record at the end",
        {
            "streams.worker.engine.believed_time.BelievedTime.read": _machine_time,
            "streams.worker.engine.believed_time.BelievedTime.ahead_s": lambda *_: 0,
            "streams.worker.engine.owned_area.OwnedArea.close_early": lambda *_: [],
        },
    ),
    "the group's offsets believed": Known(
        ("offsets_reset",),
        "an undisturbed run gives|nobody says so",
        {"streams.worker.consumer.Worker.begin": _committed},
    ),
    "lost scans taken for a new deployment": Known(
        ("scans_lost",), "has the number 1", {"streams.worker.engine.standing_checks._trace_of_past": lambda *_: ""}
    ),
    "a worker that Kafka's absence ends": Known(
        ("broker_away", "disk_full", "cut"),
        "has ended with exit code 1",
        {"streams.worker.consumer.is_passing": lambda _: False, "streams.worker.consumer.WAITED_OUT": ()},
    ),
    "partitions added and not read": Known(
        ("partitions_added",),
        "a new partition is not read",
        {"streams.worker.background.topic_watch.TopicWatch.fault": lambda _: None},
    ),
    "keys of Redis that do not come back": Known(("keys_evicted",), "Redis:", {}),
    "memory behind an idle neighbour": Known(
        ("flood",),
        "in memory that are on record",
        {"streams.worker.inbox.Inbox.cover": _cover},
        "detectors.window.corrections",
    ),
    "a worker that Redis refuses": Known(("wrong_password",), "Redis refuses it", {}),
    "a transaction that tears": Known(
        ("late_copy",),
        "no scan record names it",
        {"tests.simulation.clients.RENEWS_EPOCHS": [False]},
        "streams.brokers.transactional_producer",
    ),
}
UNMENDED = {name for known in KNOWN.values() if not known.is_mended for name in known.drawn}
"""Faults that ordinary days leave out, because the worker of this tree does not survive them."""
