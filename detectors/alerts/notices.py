"""Whether a revision notifies the control room: once when an alert opens, afterwards only when something matters."""

from __future__ import annotations

import enum

import msgspec

from detectors.alerts.lifecycle import TERMINAL, AlertState
from detectors.area.settings import RepeatSettings
from detectors.scan.significance import Tier


class Notice(enum.StrEnum):
    """What a revision reports to a control room. ``SILENT`` means nothing: it only keeps the figures up to date."""

    SILENT = ""
    OPENED = "opened"
    ESCALATED = "escalated"  # a higher tier than ever before
    TIER = "tier_changed"  # new members, and another tier than at the last notice
    AREA = "area_changed"  # new or relocated members, and mostly other locations
    RISK = "risk_changed"  # new members, and another relative risk
    REMINDER = "reminder"
    ENDED = "ended"


class NoticeFigures(msgspec.Struct, frozen=True):
    """The figures of a cluster at a tick. The next notice is compared with them.

    ``tier``: the tier of the cluster at that tick, None below ``watch``.
    """

    tick_s: int
    tier: Tier | None
    observed: int
    expected: float
    locations: tuple[str, ...]


def notice(
    state: AlertState,
    has_risen: bool,
    has_news: bool,
    now: NoticeFigures,
    last: NoticeFigures | None,
    settings: RepeatSettings,
    is_muted: bool = False,
) -> Notice:
    """Return the notice of a revision.

    ``has_risen``: whether the alert reaches its highest tier so far.
    ``has_news``: whether members have moved, or have been in no notice so far.
    ``last``: the figures at the last notice; None before the first notice.
    ``is_muted``: whether to send no reminders.
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


def is_due(tick_s: int, last: NoticeFigures, settings: RepeatSettings, is_muted: bool = False) -> bool:
    """Whether the last notice is so old that a reminder is due; never if ``is_muted``."""
    return not is_muted and 0 < settings.reminder_h * 3600 <= tick_s - last.tick_s


def _share_in_common(some: tuple[str, ...], others: tuple[str, ...]) -> float:
    return len({*some} & {*others}) / len({*some, *others})


def _ratio_of_risks(now: NoticeFigures, last: NoticeFigures) -> float:
    """The relative risk now, divided by the one at the last notice; an expected count of 0 counts as 1e-9."""
    return (now.observed / max(now.expected, 1e-9)) / (last.observed / max(last.expected, 1e-9))
