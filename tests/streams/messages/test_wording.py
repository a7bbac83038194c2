"""Figures in words: two digits that say something, in the unit that people would use."""

from __future__ import annotations

import pytest

from streams.messages.wording import figure_words, interval_words


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
