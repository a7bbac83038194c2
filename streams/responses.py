"""What an operator does about an alert, as a record of the topic ``responses``; its key is the area."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

Action = Literal["acknowledge", "take", "outcome"]
Outcome = Literal["genuine_series", "venue", "data_artefact", "unknown"]


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One action of one user; ``outcome`` with the action outcome, and only with it."""

    id: Annotated[str, Meta(min_length=1, max_length=64, description="UUID, in lower case")]
    alert: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z", description="id of the alert")]
    action: Action
    user: Annotated[
        str, Meta(pattern=r"^[^\x00-\x1f\x7f]{1,100}\Z", description="1 to 100 characters, no control characters")
    ]
    at: Annotated[datetime, Meta(tz=True)]
    outcome: Outcome | UnsetType = UNSET

    def encode(self) -> bytes:
        """The record's value, JSON."""
        return msgspec.json.encode(self)
