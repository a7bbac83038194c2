"""Whether an alert speaks: a control room is told once, and afterwards only of what matters."""

from __future__ import annotations

import enum

import msgspec

from detectors.alerts.lifecycle import TERMINAL, AlertState
from detectors.area.settings import RepeatSettings


class Notice(enum.StrEnum):
    """What a revision tells a control room; ``SILENT``: nothing, it only keeps the figures fresh."""

    SILENT = ""
    OPENED = "opened"
    ESCALATED = "escalated"  # a higher tier than ever before
    TIER = "tier_changed"  # new members, and another tier than the last notice said
    AREA = "area_changed"  # new or relocated members, and mostly other places
    RISK = "risk_changed"  # new members, and a relative risk that is another
    REMINDER = "reminder"
    ENDED = "ended"


class Said(msgspec.Struct, frozen=True):
    """A cluster as a notice told of it: when, the tier that it then had (empty: none), its figures, its places."""

    tick_s: int
    tier: str
    observed: int
    expected: float
    locations: tuple[str, ...]


def notice(
    state: AlertState,
    has_risen: bool,
    has_news: bool,
    now: Said,
    last: Said | None,
    settings: RepeatSettings,
    is_muted: bool = False,
) -> Notice:
    """What a revision says.

    ``has_risen``: to a tier that the alert never had; ``has_news``: members of which no notice has told, or that were
    relocated; ``last``: what the last notice said, None before the first; ``is_muted``: it need not be brought to mind.
    """
    if last is None:
        return Notice.OPENED
    if state in TERMINAL:
        return Notice.ENDED
    if has_risen:
        return Notice.ESCALATED
    if state is AlertState.EASING:
        return Notice.SILENT
    if has_news:
        if now.tier != last.tier:
            return Notice.TIER
        if _share_in_common(now.locations, last.locations) < settings.same_area:
            return Notice.AREA
        if not 1 / settings.same_risk <= _ratio_of_risks(now, last) <= settings.same_risk:
            return Notice.RISK
    return Notice.REMINDER if is_due(now.tick_s, last, settings, is_muted) else Notice.SILENT


def is_due(tick_s: int, last: Said, settings: RepeatSettings, is_muted: bool = False) -> bool:
    """Whether the last notice was so long ago that the alert should be brought to mind; never where ``is_muted``."""
    return not is_muted and 0 < settings.reminder_h * 3600 <= tick_s - last.tick_s


def _share_in_common(some: tuple[str, ...], others: tuple[str, ...]) -> float:
    return len({*some} & {*others}) / len({*some, *others})


def _ratio_of_risks(now: Said, last: Said) -> float:
    """Relative risk now over that of the last notice; nothing expected counts as hardly anything."""
    return (now.observed / max(now.expected, 1e-9)) / (last.observed / max(last.expected, 1e-9))
