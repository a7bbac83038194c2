"""Responses to an alert: people acknowledge it, take it, or note its outcome.

An alert keeps the last response of each kind. Responses change no state, tier or score.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Action = Literal["acknowledge", "take", "outcome"]
Outcome = Literal["genuine_series", "venue", "data_artefact", "unknown"]


class Response(msgspec.Struct, frozen=True):
    """A response of a ``user`` to an alert.

    ``at_s``: time on the user's clock, in seconds since 1970 UTC.
    ``outcome``: empty unless the action is ``outcome``.
    """

    alert: str
    action: Action
    user: str
    at_s: int
    outcome: Outcome | Literal[""] = ""


class Responses(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last response of each kind: user, and time in seconds since 1970 UTC. Empty and 0 for none."""

    acknowledged_by: str = ""
    acknowledged_s: int = 0
    taken_by: str = ""
    taken_s: int = 0
    outcome: Outcome | Literal[""] = ""
    outcome_by: str = ""
    outcome_s: int = 0

    def after(self, response: Response) -> Responses:
        """Return these responses with one more; the same object if the user had already given this response."""
        by, at_s = response.user, response.at_s
        match response.action:
            case "acknowledge":
                changed = msgspec.structs.replace(self, acknowledged_by=by, acknowledged_s=at_s)
                is_news = self.acknowledged_by != by
            case "take":
                changed = msgspec.structs.replace(self, taken_by=by, taken_s=at_s)
                is_news = self.taken_by != by
            case "outcome":
                changed = msgspec.structs.replace(self, outcome=response.outcome, outcome_by=by, outcome_s=at_s)
                is_news = (self.outcome, self.outcome_by) != (response.outcome, by)
        return changed if is_news else self
