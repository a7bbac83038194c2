"""Words for terms, figures and intervals."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from detectors.alerts.lifecycle import TRANSITIONS, AlertState, Event, Reason
from detectors.alerts.notices import Notice
from detectors.alerts.response import Action, Outcome
from detectors.area.settings import STREAMS
from detectors.clusters.artefacts import ArtefactKind
from detectors.scan.significance import TIERS
from streams.areas.health import FeedState
from streams.messages import wording
from streams.messages.wording import figure_words, interval_words


@pytest.mark.parametrize(
    ("words", "terms"),
    [
        (wording.TIERS, TIERS),
        (wording.STREAMS, STREAMS),
        (wording.STATES, AlertState),
        (wording.REASONS, Reason),
        (wording.NOTICES, [each for each in Notice if each is not Notice.SILENT]),
        (wording.OUTCOMES, get_args(Outcome)),
        (wording.ARTEFACTS, ArtefactKind),
        (wording.RESPONSES, get_args(Action)),
        (wording.FEEDS, get_args(FeedState)),
    ],
)
def test_every_term_has_words(words: dict[Any, Any], terms: Any) -> None:
    assert sorted(words) == sorted(set(terms))
    assert all(words.values())


def test_tiers_and_streams_keep_their_order() -> None:
    """The page sorts by the one and lists the other."""
    assert ([*wording.TIERS], [*wording.STREAMS]) == ([*TIERS], [*STREAMS])


def test_a_response_makes_a_revision_with_its_reason() -> None:
    events = (Event.ACKNOWLEDGED, Event.TAKEN, Event.NOTED)
    assert [each.reason for each in wording.RESPONSES.values()] == [
        TRANSITIONS[AlertState.OPEN, event][1] for event in events
    ]


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (0.01, "less than an hour"),
        (1 / 24, "1 hour"),
        (0.5, "12 hours"),
        (40.48, "40 days"),
        (729, "729 days"),
        (730, "2 years"),
        (3652.5, "10 years"),
        (365.25 * 999.4, "999 years"),
        (365.25 * 999.6, "1,000+ years"),
        (1e15, "1,000+ years"),
    ],
)
def test_an_interval(days: float, words: str) -> None:
    assert interval_words(days) == words


@pytest.mark.parametrize(
    ("figure", "words"), [(0.00001, "hardly any"), (0.0123, "0.012"), (7.04, "7"), (99.6, "100"), (12345.6, "12,346")]
)
def test_a_figure(figure: float, words: str) -> None:
    assert figure_words(figure) == words
