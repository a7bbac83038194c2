"""Figures as people say them, wherever they are read and not calculated with."""

from __future__ import annotations

LONG_YEARS = 1000
"""Beyond that an interval says nothing but "never"."""


def figure_words(figure: float) -> str:
    """A figure with two digits that say something, or whole; never with an exponent."""
    return f"{figure:,.0f}" if figure >= 99.5 else f"{figure:.2g}" if figure >= 1e-4 else "hardly any"


def interval_words(days: float) -> str:
    """How long chance takes to show as much: "6 hours", "90 days", "1,000+ years"."""
    if days < 1 / 24:
        return "less than an hour"
    if days < 2:
        hours = figure_words(24 * days)
        return f"{hours} hour{'' if hours == '1' else 's'}"
    years = days / 365.25
    if days < 730:
        return f"{figure_words(days)} days"
    return f"{figure_words(years)} years" if years < LONG_YEARS - 0.5 else f"{LONG_YEARS:,}+ years"
