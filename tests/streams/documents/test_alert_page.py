"""The page on the life of an alert agrees with the table of transitions."""

from __future__ import annotations

from detectors.alerts.lifecycle import TRANSITIONS
from streams.documents.alert_page import document


def test_every_transition_is_drawn_and_written() -> None:
    page = document()
    for (state, event), (following, _) in TRANSITIONS.items():
        (drawn,) = [line for line in page.splitlines() if line.startswith(f"    {state} --> {following}: ")]
        assert event in drawn.partition(": ")[2].split(", ")
        assert f"| {state} | {event} | {following} |" in page
