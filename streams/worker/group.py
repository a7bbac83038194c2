"""The consumer group behind a port: what the worker asks of the group, and what the group tells its member.

Faust is the one in use (:class:`~streams.worker.faust_group.FaustGroup`); a test can hand in another.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from streams.messages.records import Headers
from streams.worker.inbox import Delivery


class Message(Protocol):
    """A record as the group delivers it; ``timestamp``: its arrival in seconds since 1970."""

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

    async def revoked(self) -> None:
        """A rebalance begins; the partitions stay ours until it returns."""

    async def assigned(self, numbers: Collection[int], generation: int) -> None:
        """A rebalance has ended, and these partitions are ours; the group does not wait before it delivers."""

    async def read(self, message: Message, delivery: Delivery) -> None:
        """Take the next record, and acknowledge its delivery some time later."""


class Group(Protocol):
    """A member's connection to its group."""

    async def run(self, member: Member) -> None:
        """Join, and deliver records until the group ends, which is an error; its reason is in the exception."""

    async def reached(self, number: int) -> tuple[int, int] | None:
        """Return up to which offset a partition is read, and where it ends; None while that is not known."""

    async def leave(self, *, acknowledged: bool) -> None:
        """Leave the group, first having ``acknowledged`` records committed."""

    def discard(self) -> None:
        """Remove the group's files, also while it hangs."""
