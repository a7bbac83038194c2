"""The life of an alert as one table: (state, event) -> (state, reason). Nothing else changes a state.

The shape is hysteresis: an alert opens at a high score, lives on at a somewhat lower one, and ends only after a quiet
time, so that a cluster at the threshold does not flicker. Every alert gets a terminal revision, ``ended`` or
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


class Event(enum.StrEnum):
    """The event that a scan or a response brings to an open alert."""

    ROSE = "rose"  # its cluster reached a higher tier than ever before
    GREW = "grew"  # its cluster has new members
    MOVED = "moved"  # its members were relocated: its cluster has none of the locations shown before
    HELD = "held"  # its cluster is there, with nothing new
    DUE = "due"  # the same, and its last notice was long ago
    FELL = "fell"  # no cluster that shares its members is strong enough
    MERGED = "merged"  # its cluster now belongs to another alert
    LAPSED = "lapsed"  # no such cluster for the whole quiet time
    EMPTIED = "emptied"  # too few of its members still stand: they were cancelled
    EXCLUDED = "excluded"  # too few of its members are in the area since the configuration changed
    ACKNOWLEDGED = "acknowledged"  # somebody has seen it
    TAKEN = "taken"  # somebody deals with it
    NOTED = "noted"  # somebody has noted its outcome


OPENED = "opened"
"""The reason of an alert's first revision."""

TRANSITIONS: dict[tuple[AlertState, Event], tuple[AlertState, str]] = {
    (AlertState.OPEN, Event.ROSE): (AlertState.ESCALATED, "tier_rose"),
    (AlertState.OPEN, Event.GREW): (AlertState.OPEN, "new_members"),
    (AlertState.OPEN, Event.MOVED): (AlertState.OPEN, "relocated"),
    (AlertState.OPEN, Event.HELD): (AlertState.OPEN, ""),
    (AlertState.OPEN, Event.DUE): (AlertState.OPEN, "reminder"),
    (AlertState.OPEN, Event.FELL): (AlertState.EASING, "score_fell"),
    (AlertState.OPEN, Event.MERGED): (AlertState.ENDED, "merged"),
    (AlertState.OPEN, Event.EMPTIED): (AlertState.WITHDRAWN, "members_cancelled"),
    (AlertState.OPEN, Event.EXCLUDED): (AlertState.ENDED, "reconfigured"),
    (AlertState.OPEN, Event.ACKNOWLEDGED): (AlertState.OPEN, "acknowledged"),
    (AlertState.OPEN, Event.TAKEN): (AlertState.OPEN, "taken"),
    (AlertState.OPEN, Event.NOTED): (AlertState.OPEN, "outcome_noted"),
    (AlertState.ESCALATED, Event.ROSE): (AlertState.ESCALATED, "tier_rose"),
    (AlertState.ESCALATED, Event.GREW): (AlertState.ESCALATED, "new_members"),
    (AlertState.ESCALATED, Event.MOVED): (AlertState.ESCALATED, "relocated"),
    (AlertState.ESCALATED, Event.HELD): (AlertState.ESCALATED, ""),
    (AlertState.ESCALATED, Event.DUE): (AlertState.ESCALATED, "reminder"),
    (AlertState.ESCALATED, Event.FELL): (AlertState.EASING, "score_fell"),
    (AlertState.ESCALATED, Event.MERGED): (AlertState.ENDED, "merged"),
    (AlertState.ESCALATED, Event.EMPTIED): (AlertState.WITHDRAWN, "members_cancelled"),
    (AlertState.ESCALATED, Event.EXCLUDED): (AlertState.ENDED, "reconfigured"),
    (AlertState.ESCALATED, Event.ACKNOWLEDGED): (AlertState.ESCALATED, "acknowledged"),
    (AlertState.ESCALATED, Event.TAKEN): (AlertState.ESCALATED, "taken"),
    (AlertState.ESCALATED, Event.NOTED): (AlertState.ESCALATED, "outcome_noted"),
    (AlertState.EASING, Event.ROSE): (AlertState.ESCALATED, "tier_rose"),
    (AlertState.EASING, Event.GREW): (AlertState.OPEN, "new_members"),
    (AlertState.EASING, Event.MOVED): (AlertState.OPEN, "score_recovered"),
    (AlertState.EASING, Event.HELD): (AlertState.OPEN, "score_recovered"),
    (AlertState.EASING, Event.DUE): (AlertState.OPEN, "score_recovered"),
    (AlertState.EASING, Event.FELL): (AlertState.EASING, ""),
    (AlertState.EASING, Event.LAPSED): (AlertState.ENDED, "quiet"),
    (AlertState.EASING, Event.MERGED): (AlertState.ENDED, "merged"),
    (AlertState.EASING, Event.EMPTIED): (AlertState.WITHDRAWN, "members_cancelled"),
    (AlertState.EASING, Event.EXCLUDED): (AlertState.ENDED, "reconfigured"),
    (AlertState.EASING, Event.ACKNOWLEDGED): (AlertState.EASING, "acknowledged"),
    (AlertState.EASING, Event.TAKEN): (AlertState.EASING, "taken"),
    (AlertState.EASING, Event.NOTED): (AlertState.EASING, "outcome_noted"),
}
"""An empty reason means that nothing is new: no revision is made."""

TERMINAL = (AlertState.ENDED, AlertState.WITHDRAWN)


class ForbiddenEvent(ValueError):
    """An event that cannot happen to an alert in this state; the alert stays as it was."""


def step(state: AlertState, event: Event) -> tuple[AlertState, str]:
    """Return the next state and the reason of the revision.

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
