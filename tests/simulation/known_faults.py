"""The faults that the worker once had, each put back by undoing its mend, and the faults of a day that bring it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from streams.redis_copy.contents import Comparison, RedisCopy
from streams.worker.engine.believed_time import BelievedTime, Reading
from streams.worker.inbox import Inbox

COMPARE = RedisCopy.compare


async def _committed(_worker: Any, _offsets: Any) -> dict[int, int]:
    """Where the worker says that partitions are read from: nowhere, so that the group's offsets count."""
    return {}


def _cover(inbox: Inbox, covered: Mapping[str | None, int]) -> None:
    """Keep the records that are on record."""
    inbox._covered = covered
    inbox._acknowledge()


def _compare_figures(copy: RedisCopy, area: str, first: int, end: int, topic: str, *_: int) -> Comparison:
    """Compare an area's figures with its ledger, and no alert."""
    return COMPARE(copy, area, first, end, topic, 0, 0)


def _machine_time(_believed: BelievedTime, worker_s: float, _monotonic_s: float) -> Reading:
    """Believe the worker's clock."""
    return Reading(worker_s)


class Known(NamedTuple):
    """A known fault: ``drawn`` are the faults of a day, ``says`` is a pattern in the failure.

    ``undone``: by the name of what the mend has brought, what stands in for it.
    """

    drawn: tuple[str, ...]
    says: str
    undone: Mapping[str, object]

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Undo the mend."""
        with ExitStack() as patches:
            for name, stand_in in self.undone.items():
                patches.enter_context(patch(name, stand_in))
            yield


KNOWN = {
    "a batch that stops every worker": Known(
        ("undecodable",), "has ended with exit code 1", {"tests.simulation.clients.PASSES_OVER": [False]}
    ),
    "a clock that is ahead": Known(
        ("clock_wrong",),
        "nobody says so|not on record at the end",
        {
            "streams.worker.engine.believed_time.BelievedTime.read": _machine_time,
            "streams.worker.engine.believed_time.BelievedTime.ahead_s": lambda *_, **__: 0,
            "streams.worker.engine.owned_area.OwnedArea.close_early": lambda *_: [],
        },
    ),
    "the group's offsets believed": Known(
        ("offsets_reset",),
        "an undisturbed run gives|nobody says so",
        {"streams.worker.consumer.Worker.begin": _committed},
    ),
    "lost scans taken for a new deployment": Known(
        ("scans_lost",), "its records are lost", {"streams.worker.engine.standing_checks._trace_of_past": lambda *_: ""}
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
    "keys of Redis that do not come back": Known(
        ("keys_evicted",),
        "Redis:",
        {"streams.redis_copy.contents.RedisCopy.compare": _compare_figures},
    ),
    "memory behind an idle neighbour": Known(
        ("flood",),
        "in memory that are on record",
        {"streams.worker.inbox.Inbox.cover": _cover},
    ),
    "a worker that Redis refuses": Known(
        ("wrong_password",),
        "Redis refuses it",
        {
            "streams.worker.process._is_taken_by_redis": lambda *_: True,
            "streams.worker.background.redis_feeder.RedisFeeder._prove": lambda _: None,
        },
    ),
    "a transaction that tears": Known(
        ("late_copy",),
        "no scan record names it",
        {"tests.simulation.clients.RENEWS_EPOCHS": [False]},
    ),
}
