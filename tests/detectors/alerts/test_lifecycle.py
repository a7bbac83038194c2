"""Every pair of a state and an event, allowed or not."""

from __future__ import annotations

import itertools

import pytest

from detectors.alerts.lifecycle import TERMINAL, TRANSITIONS, AlertState, Event, ForbiddenEvent, Reason, step

PAIRS = list(itertools.product(AlertState, Event))


def next_state(state: AlertState, event: Event) -> AlertState | None:
    """The rules in words: what each event makes of an open alert, None where it cannot happen."""
    if state in (AlertState.ENDED, AlertState.WITHDRAWN):
        return None  # nothing follows the terminal message
    match event:
        case Event.ROSE:
            return AlertState.ESCALATED
        case Event.FELL:
            return AlertState.EASING
        case Event.EMPTIED:
            return AlertState.WITHDRAWN
        case Event.EXCLUDED | Event.MERGED:
            return AlertState.ENDED
        case Event.LAPSED:
            return AlertState.ENDED if state is AlertState.EASING else None  # only a quiet alert runs out
        case Event.GREW | Event.TURNED | Event.MOVED | Event.HELD | Event.DUE:
            return AlertState.OPEN if state is AlertState.EASING else state
        case Event.ACKNOWLEDGED | Event.TAKEN | Event.NOTED:
            return state  # a response is not a state


@pytest.mark.parametrize(("state", "event"), PAIRS)
def test_every_pair(state: AlertState, event: Event):
    expected = next_state(state, event)
    if expected is None:
        with pytest.raises(ForbiddenEvent, match=f"{state.value} cannot be {event.value}"):
            step(state, event)
        assert (state, event) not in TRANSITIONS
    else:
        after, reason = step(state, event)
        assert after is expected
        # Silence where nothing is new: no other state, stream or place, no new member or reminder.
        assert (reason is None) == (after is state and event in (Event.HELD, Event.FELL))


def test_every_reason_is_in_the_table_except_that_of_the_first_revision():
    assert {reason for _, reason in TRANSITIONS.values() if reason} == set(Reason) - {Reason.OPENED}


@pytest.mark.parametrize("state", TERMINAL)
def test_nothing_can_follow_the_end(state: AlertState):
    with pytest.raises(ForbiddenEvent, match="it can be nothing more"):
        step(state, Event.HELD)


def test_a_forbidden_event_says_what_is_allowed():
    with pytest.raises(
        ForbiddenEvent, match="open cannot be lapsed; it can be rose, grew, turned, moved, held, due, fell, merged"
    ):
        step(AlertState.OPEN, Event.LAPSED)


def test_every_state_can_be_reached_from_open_and_every_living_one_can_end():
    def reachable(start: AlertState) -> set[AlertState]:
        found, new = {start}, {start}
        while new:
            new = {after for (state, _), (after, _) in TRANSITIONS.items() if state in new} - found
            found |= new
        return found

    assert reachable(AlertState.OPEN) == set(AlertState)
    for state in set(AlertState) - set(TERMINAL):
        assert set(TERMINAL) <= reachable(state)
