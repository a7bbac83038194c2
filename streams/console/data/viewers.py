"""Counts the open event streams by user and by address, so that nobody can hold all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager

MAX_VIEWERS = 500
"""Largest number of open event streams."""


class TooManyViewers(Exception):
    """No further event stream can be opened. The message gives the reason."""


class Viewers:
    """The open event streams by user and by address. Addresses in ``exempt`` have no limit."""

    def __init__(self, per_user: int, per_address: int, exempt: Collection[str]) -> None:
        self._per_user = per_user
        self._per_address = per_address
        self._exempt = exempt
        self._of_user: Counter[str] = Counter()
        self._of_address: Counter[str] = Counter()

    @contextmanager
    def entered(self, user: str, address: str) -> Iterator[None]:
        """Count one event stream for as long as the context is open.

        Raises:
            TooManyViewers: The user, the address or the console has its largest number of event streams.
        """
        if self._of_user.total() >= MAX_VIEWERS:
            raise TooManyViewers("there are too many viewers")
        if self._of_user[user] >= self._per_user:
            raise TooManyViewers(f"{user} has {self._per_user} pages open, the most for one user: close one")
        if address not in self._exempt and self._of_address[address] >= self._per_address:
            raise TooManyViewers(f"{self._per_address} pages are open at {address}, the most for an address: close one")
        counted = ((self._of_user, user), (self._of_address, address))
        for counter, key in counted:
            counter[key] += 1
        try:
            yield
        finally:
            for counter, key in counted:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]
