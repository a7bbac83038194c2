"""The dead letter of a notification that no on-call tool accepted: topic ``alerts.undelivered``, key = area."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from streams.webhook.notification import Notification

UndeliveredReason = Literal["refused", "throttled", "server_error", "timeout", "unreachable", "unreadable"]
"""HTTP 3xx or 4xx, 429, 5xx, no answer in time, no connection; or a record that is not an alert of the monitor."""


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be delivered, the reason, and what would have been posted."""

    reason: UndeliveredReason
    detail: Annotated[str, Meta(description="fault of the last attempt")]
    attempts: Annotated[int, Meta(ge=0)]
    failed_at: Annotated[datetime, Meta(tz=True)]
    topic: Annotated[str, Meta(description="topic of the record (the topic of the alerts)")]
    partition: int
    offset: int
    notification: Annotated[Notification | UnsetType, Meta(description="absent if the record is unreadable")] = UNSET

    def encode(self) -> bytes:
        """Return the record's value, JSON."""
        return msgspec.json.encode(self)
