"""The life of an alert as a table: (state, event) -> (state, reason). States change only by this table.

The table has hysteresis, so that a cluster near the threshold does not flicker. An alert opens at a high score, stays
open at a somewhat lower one, and ends only after a quiet time. Every alert gets a last revision, ``ended`` or
``withdrawn``.
"""

from __future__ import annotations

import enum


class AlertState(enum.StrEnum):
    """The state of an alert."""

    OPEN = "open"
    ESCALATED = "escalated"
    EASING = "easing"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"


class Reason(enum.StrEnum):
    """The reason of a revision."""

    OPENED = "opened"
    TIER_ROSE = "tier_rose"
    NEW_MEMBERS = "new_members"
    CATEGORY_CHANGED = "category_changed"
    RELOCATED = "relocated"
    REMINDER = "reminder"
    SCORE_FELL = "score_fell"
    SCORE_RECOVERED = "score_recovered"
    MERGED = "merged"
    MEMBERS_CANCELLED = "members_cancelled"
    QUIET = "quiet"
    RECONFIGURED = "reconfigured"
    ACKNOWLEDGED = "acknowledged"
    TAKEN = "taken"
    OUTCOME_NOTED = "outcome_noted"


class Event(enum.StrEnum):
    """The event that a scan or a response brings to an open alert."""

    ROSE = "rose"  # its cluster reached a higher tier than ever before
    GREW = "grew"  # its cluster has new members
    TURNED = "turned"  # a cluster of another stream continues it, with nothing new
    MOVED = "moved"  # members were relocated, and its cluster has none of the locations shown before
    HELD = "held"  # its cluster is there, with nothing new
    DUE = "due"  # its cluster is there, with nothing new, and its last notice was long ago
    FELL = "fell"  # no cluster that shares its members is strong enough
    MERGED = "merged"  # its cluster now belongs to another alert
    LAPSED = "lapsed"  # for the whole quiet time no such cluster was strong enough
    EMPTIED = "emptied"  # its members were cancelled, and too few still stand
    EXCLUDED = "excluded"  # the configuration changed, and too few of its members are still in the area
    ACKNOWLEDGED = "acknowledged"  # somebody has seen it
    TAKEN = "taken"  # somebody deals with it
    NOTED = "noted"  # somebody has noted its outcome


TRANSITIONS: dict[tuple[AlertState, Event], tuple[AlertState, Reason | None]] = {
    (AlertState.OPEN, Event.ROSE): (AlertState.ESCALATED, Reason.TIER_ROSE),
    (AlertState.OPEN, Event.GREW): (AlertState.OPEN, Reason.NEW_MEMBERS),
    (AlertState.OPEN, Event.TURNED): (AlertState.OPEN, Reason.CATEGORY_CHANGED),
    (AlertState.OPEN, Event.MOVED): (AlertState.OPEN, Reason.RELOCATED),
    (AlertState.OPEN, Event.HELD): (AlertState.OPEN, None),
    (AlertState.OPEN, Event.DUE): (AlertState.OPEN, Reason.REMINDER),
    (AlertState.OPEN, Event.FELL): (AlertState.EASING, Reason.SCORE_FELL),
    (AlertState.OPEN, Event.MERGED): (AlertState.ENDED, Reason.MERGED),
    (AlertState.OPEN, Event.EMPTIED): (AlertState.WITHDRAWN, Reason.MEMBERS_CANCELLED),
    (AlertState.OPEN, Event.EXCLUDED): (AlertState.ENDED, Reason.RECONFIGURED),
    (AlertState.OPEN, Event.ACKNOWLEDGED): (AlertState.OPEN, Reason.ACKNOWLEDGED),
    (AlertState.OPEN, Event.TAKEN): (AlertState.OPEN, Reason.TAKEN),
    (AlertState.OPEN, Event.NOTED): (AlertState.OPEN, Reason.OUTCOME_NOTED),
    (AlertState.ESCALATED, Event.ROSE): (AlertState.ESCALATED, Reason.TIER_ROSE),
    (AlertState.ESCALATED, Event.GREW): (AlertState.ESCALATED, Reason.NEW_MEMBERS),
    (AlertState.ESCALATED, Event.TURNED): (AlertState.ESCALATED, Reason.CATEGORY_CHANGED),
    (AlertState.ESCALATED, Event.MOVED): (AlertState.ESCALATED, Reason.RELOCATED),
    (AlertState.ESCALATED, Event.HELD): (AlertState.ESCALATED, None),
    (AlertState.ESCALATED, Event.DUE): (AlertState.ESCALATED, Reason.REMINDER),
    (AlertState.ESCALATED, Event.FELL): (AlertState.EASING, Reason.SCORE_FELL),
    (AlertState.ESCALATED, Event.MERGED): (AlertState.ENDED, Reason.MERGED),
    (AlertState.ESCALATED, Event.EMPTIED): (AlertState.WITHDRAWN, Reason.MEMBERS_CANCELLED),
    (AlertState.ESCALATED, Event.EXCLUDED): (AlertState.ENDED, Reason.RECONFIGURED),
    (AlertState.ESCALATED, Event.ACKNOWLEDGED): (AlertState.ESCALATED, Reason.ACKNOWLEDGED),
    (AlertState.ESCALATED, Event.TAKEN): (AlertState.ESCALATED, Reason.TAKEN),
    (AlertState.ESCALATED, Event.NOTED): (AlertState.ESCALATED, Reason.OUTCOME_NOTED),
    (AlertState.EASING, Event.ROSE): (AlertState.ESCALATED, Reason.TIER_ROSE),
    (AlertState.EASING, Event.GREW): (AlertState.OPEN, Reason.NEW_MEMBERS),
    (AlertState.EASING, Event.TURNED): (AlertState.OPEN, Reason.SCORE_RECOVERED),
    (AlertState.EASING, Event.MOVED): (AlertState.OPEN, Reason.SCORE_RECOVERED),
    (AlertState.EASING, Event.HELD): (AlertState.OPEN, Reason.SCORE_RECOVERED),
    (AlertState.EASING, Event.DUE): (AlertState.OPEN, Reason.SCORE_RECOVERED),
    (AlertState.EASING, Event.FELL): (AlertState.EASING, None),
    (AlertState.EASING, Event.LAPSED): (AlertState.ENDED, Reason.QUIET),
    (AlertState.EASING, Event.MERGED): (AlertState.ENDED, Reason.MERGED),
    (AlertState.EASING, Event.EMPTIED): (AlertState.WITHDRAWN, Reason.MEMBERS_CANCELLED),
    (AlertState.EASING, Event.EXCLUDED): (AlertState.ENDED, Reason.RECONFIGURED),
    (AlertState.EASING, Event.ACKNOWLEDGED): (AlertState.EASING, Reason.ACKNOWLEDGED),
    (AlertState.EASING, Event.TAKEN): (AlertState.EASING, Reason.TAKEN),
    (AlertState.EASING, Event.NOTED): (AlertState.EASING, Reason.OUTCOME_NOTED),
}
"""The next state and the reason of the revision. A reason of None means that there is no revision."""

TERMINAL = (AlertState.ENDED, AlertState.WITHDRAWN)


class ForbiddenEvent(ValueError):
    """An event that cannot happen to an alert in this state; the alert stays as it was."""


def step(state: AlertState, event: Event) -> tuple[AlertState, Reason | None]:
    """Return the next state and the reason of the revision; None if there is no revision.

    Raises:
        ForbiddenEvent: The table has no such transition; the message names state and event.
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        allowed = [other.value for known, other in TRANSITIONS if known is state]
        raise ForbiddenEvent(
            f"an alert that is {state} cannot be {event}; it can be {', '.join(allowed) or 'nothing more'}"
        ) from None
