"""A revision that is lost, doubled or changed is counted, whatever its place; one that is right is not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.faults.verdict import Verdict, compare
from detectors.area.settings import AreaSettings
from streams.messages.alert import alert_event
from tests.streams.messages.alert_events import ALERT, with_fields


def event(alert: int, revision: int, tier: str = "alert") -> bytes:
    """The event of a revision."""
    return alert_event(with_fields(ALERT, id=f"{alert:032x}", revision=revision, tier=tier), AreaSettings(), "c" * 64)


EVENTS = [event(alert, revision) for alert in range(3) for revision in range(1, 5)]
PLACES = st.sets(st.sampled_from(range(len(EVENTS))))


@given(PLACES, PLACES, PLACES)
def test_what_is_lost_doubled_or_changed_is_counted(lost: set[int], doubled: set[int], changed: set[int]) -> None:
    doubled, changed = doubled - lost, changed - lost
    written = []
    for place, value in enumerate(EVENTS):
        value = event(place // 4, place % 4 + 1, "urgent") if place in changed else value
        written += [value] * (0 if place in lost else 2 if place in doubled else 1)
    verdict = Verdict()
    compare(verdict, written, EVENTS)
    assert (verdict.lost, verdict.doubled, verdict.wrong) == (len(lost), len(doubled), len(changed))
    assert verdict.is_clean == (written == EVENTS)


def test_a_revision_that_was_never_due_is_wrong() -> None:
    verdict = Verdict()
    compare(verdict, [*EVENTS, event(9, 1)], EVENTS)
    assert (verdict.lost, verdict.doubled, verdict.wrong) == (0, 0, 1)
