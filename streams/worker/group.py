"""The interface of the consumer group: what the worker calls, and what the group calls in its member.

In use is Faust (:class:`~streams.worker.faust_group.FaustGroup`). Tests can pass another group.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from streams.messages.records import Headers


class Message(Protocol):
    """A record that the group delivers. ``timestamp``: its arrival in seconds since 1970."""

    @property
    def partition(self) -> int:
        """The partition."""

    @property
    def offset(self) -> int:
        """The offset."""

    @property
    def timestamp(self) -> float:
        """The arrival."""

    @property
    def key(self) -> bytes | None:
        """The key."""

    @property
    def value(self) -> bytes | None:
        """The value."""

    @property
    def headers(self) -> Headers:
        """The headers."""


class Member(Protocol):
    """The member of a group. Everything is called in the event loop's thread."""

    async def begin(self, committed: Mapping[int, int | None]) -> Mapping[int, int]:
        """Return, by partition, the offset to read from. ``committed``: the group's committed offset, None without.

        Called after every rebalance, before the first record is delivered.
        """

    async def revoked(self) -> None:
        """A rebalance begins. The partitions stay ours until this returns."""

    async def assigned(self, numbers: Collection[int], generation: int) -> None:
        """A rebalance has ended, and these partitions are ours. The group delivers records without waiting for this."""

    async def read(self, message: Message) -> None:
        """Take the next record, and acknowledge its offset some time later."""


class Group(Protocol):
    """A member's connection to its group."""

    async def run(self, member: Member) -> None:
        """Join, and deliver records until the group ends. That is an error, and the exception has the reason."""

    async def reached(self, number: int) -> tuple[int, int] | None:
        """Return the offset up to which a partition is read, and its end; None while they are not known."""

    def acknowledge(self, number: int, offset: int) -> None:
        """Acknowledge a record of a partition. The group commits it after all records below it."""

    async def leave(self, *, acknowledged: bool) -> None:
        """Commit the ``acknowledged`` records, and leave the group."""

    def discard(self) -> None:
        """Remove the group's files, also while it hangs."""
