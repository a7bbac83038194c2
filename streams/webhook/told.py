"""The open alerts that the tool knows, kept in Kafka as the metadata of the group's committed offset."""

from __future__ import annotations

import re

from streams.messages.alert import AlertProperties

MAX_TOLD = 200
"""Largest number of alerts of a partition that are kept by id: Kafka allows 4096 bytes."""

_METADATA = re.compile(r"told (\d{1,12}) ((?:[0-9a-f]{16},)*)")


class Told:
    """The open alerts of one partition whose firing the tool has, by fingerprint.

    Alerts opened before ``since_s`` count as told: a version before this one kept no list, or the list was too long.
    """

    def __init__(self, since_s: int = 0, known: tuple[str, ...] = ()) -> None:
        self._since_s = since_s
        self._known = dict.fromkeys(known)

    @classmethod
    def read(cls, metadata: str, now_s: float) -> Told:
        """Return what :attr:`metadata` holds; of other text, that all alerts so far count as told."""
        found = _METADATA.fullmatch(metadata)
        return cls(int(found[1]), tuple(found[2].split(",")[:-1])) if found else cls(int(now_s))

    @staticmethod
    def is_kept(metadata: str) -> bool:
        """Return whether :attr:`metadata` was committed, or another text, or none."""
        return bool(_METADATA.fullmatch(metadata))

    @property
    def metadata(self) -> str:
        """The text to commit."""
        return f"told {self._since_s} {''.join(f'{each},' for each in self._known)}"

    def has(self, alert: AlertProperties) -> bool:
        """Return whether the tool knows the alert."""
        return alert.id[:16] in self._known or alert.opened_at.timestamp() < self._since_s

    def add(self, alert: AlertProperties, now_s: float) -> None:
        """Note that the tool knows the alert."""
        self._known[alert.id[:16]] = None
        if len(self._known) > MAX_TOLD:
            self._since_s = int(now_s)
            self._known.clear()

    def remove(self, alert: AlertProperties) -> None:
        """Note that the tool knows the alert's end."""
        self._known.pop(alert.id[:16], None)
