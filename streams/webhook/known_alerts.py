"""The open alerts that the tool knows, kept in Kafka as the metadata of the group's committed offset."""

from __future__ import annotations

import re

from streams.messages.alert import AlertProperties

MAX_KNOWN = 200
"""Largest number of alerts of a partition that are kept by id: Kafka allows 4096 bytes of metadata."""

# "told" is part of the format: groups have committed it.
_METADATA = re.compile(r"told (\d{1,12}) ((?:[0-9a-f]{16},)*)")


class KnownAlerts:
    """The open alerts of one partition of which the tool was notified, by fingerprint.

    Alerts opened before ``since_s`` count as known: an earlier version kept no list, or the list was too long.
    """

    def __init__(self, since_s: int = 0, known: tuple[str, ...] = ()) -> None:
        self._since_s = since_s
        self._known = dict.fromkeys(known)

    @classmethod
    def read(cls, metadata: str, now_s: float) -> KnownAlerts:
        """Return what :attr:`metadata` holds; for any other text, all alerts so far count as known."""
        found = _METADATA.fullmatch(metadata)
        return cls(int(found[1]), tuple(found[2].split(",")[:-1])) if found else cls(int(now_s))

    @staticmethod
    def is_kept(metadata: str) -> bool:
        """Return whether a committed text is one that :attr:`metadata` gave; False for any other text, and for none."""
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
        if len(self._known) > MAX_KNOWN:
            self._since_s = int(now_s)
            self._known.clear()

    def remove(self, alert: AlertProperties) -> None:
        """Note that the tool knows the alert's end."""
        self._known.pop(alert.id[:16], None)
