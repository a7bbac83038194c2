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
from streams.messages.wording import chance_words, figure_words, interval_words, simulated_words


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
        (365.25 * 99.4, "99 years"),
        (365.25 * 99.6, "100+ years"),
        (1e15, "100+ years"),
    ],
)
def test_an_interval(days: float, words: str) -> None:
    assert interval_words(days) == words


@pytest.mark.parametrize(
    ("weeks", "words"),
    [
        (0.5, "less than a simulated month"),
        (5, "1 simulated month"),
        (26, "6 simulated months"),
        (52, "12 simulated months"),
        (78, "18 simulated months"),
        (150, "34 simulated months"),
        (156, "3 simulated years"),
        (200, "3 simulated years"),
        (416, "8 simulated years"),
    ],
)
def test_a_simulated_time_is_never_rounded_up_by_much(weeks: int, words: str) -> None:
    assert simulated_words(weeks * 7) == words
    assert chance_words(weeks * 7, "calibrated", True) == f"rarer than anything in {words}"
    assert interval_words(weeks * 7, True) == f"over {words}"


def test_chance_says_whether_it_was_measured() -> None:
    assert chance_words(90, "calibrated", False) == "by chance once in 90 days"
    assert chance_words(90, "nominal", False) == "by chance once in 90 days (nominal)"


@pytest.mark.parametrize(
    ("figure", "words"), [(0.00001, "hardly any"), (0.0123, "0.012"), (7.04, "7"), (99.6, "100"), (12345.6, "12,346")]
)
def test_a_figure(figure: float, words: str) -> None:
    assert figure_words(figure) == words
