"""One revision of an alert in plain English: what, where, since when, how unusual, and what may be wrong with it."""

from __future__ import annotations

from datetime import datetime

import msgspec

from detectors.alerts.lifecycle import AlertState
from detectors.area.settings import Stream
from detectors.clusters.artefacts import ArtefactKind
from streams.messages.alert import BAYES, AlertFeature, AlertProperties, AlertResponse
from streams.messages.wording import figure_words, interval_words, simulated_words

NAMES = {Stream.ALL: "events of all four categories together", Stream.DRUGS: "drugs events"}
COMPLETE = 0.9
"""Completeness below which the paragraph mentions it."""
ARTEFACTS = {
    ArtefactKind.STACK: "lie at one coordinate, more than usual there (perhaps the default point of the geocoder)",
    ArtefactKind.DUPLICATES: "may be further calls about another of them",
    ArtefactKind.DENIED: "lie at the listed place",
    ArtefactKind.VENUE: "lie at one venue",
}
FIGURES = (
    "observed",
    "records",
    "expected",
    "relative_risk",
    "llr",
    "score",
    "trigger_score",
    "recurrence_interval_days",
    "interval_is_lower_bound",
    "interval_kind",
    "budget_per_week",
    "radius_m",
    "duration_h",
    "breakdown",
    "also_in",
    "completeness",
    "trend",
    "response",
    "artefacts",
    "artefact_score",
    "members",
    "new_members",
    "configuration",
    "calibration",
    "seed",
)
"""Properties that are listed below the paragraph if they are known."""


def paragraph(feature: AlertFeature, place: str = "") -> str:
    """Return the revision in one paragraph. ``place``: a name of its place, such as "near High Street"."""
    alert = feature.properties
    what, chance = _what(alert, *feature.geometry.coordinates, place) + _also(alert), _chance(alert)
    if alert.state is AlertState.WITHDRAWN:
        return f"Withdrawn: too few of its incidents still stand. Before, it read: {what} {chance} {_life(alert)}"
    return f"{what} {chance} {_life(alert)} {_doubts(alert)}"


def figures(feature: AlertFeature) -> dict[str, object]:
    """Return the known figures behind the paragraph, in a fixed order."""
    known = msgspec.to_builtins(feature.properties)
    return {name: known[name] for name in FIGURES if name in known}


def _what(alert: AlertProperties, longitude: float, latitude: float, place: str) -> str:
    began = alert.window_start.astimezone(alert.updated_at_local.tzinfo)
    kind = NAMES.get(alert.category, f"{alert.category} events")
    many = f"{len(alert.cells)} locations within {alert.radius_m:.0f} m"
    locations = many if len(alert.cells) > 1 else "one location"
    of = "of" if len(alert.cells) > 1 else "at"
    where = f", {place}," if place else f" {of} {latitude:.5f}, {longitude:.5f}"
    records = f" (in {alert.records} incidents)" if isinstance(alert.records, int) else ""
    verb = "is" if round(alert.expected, 1) == 1 else "are"
    usual = f"{figure_words(alert.expected)} {verb} usual for this place and these hours"
    ratio = f", {figure_words(alert.relative_risk)} times as many" if isinstance(alert.relative_risk, float) else ""
    return (
        f"{alert.area}: {alert.observed} {kind}{records} at {locations}{where} "
        f"since {began:%A %-d %B %Y, %H:%M}, where {usual}{ratio}."
    )


def _also(alert: AlertProperties) -> str:
    """Return the other streams that show it as a sentence."""
    if not isinstance(alert.also_in, tuple):
        return ""
    each = [
        f"{one.observed} {NAMES.get(one.category, f'{one.category} events')} within {one.duration_h} h against "
        f"{figure_words(one.expected)} usual"
        for one in alert.also_in
    ]
    return f" It also stands out by {'; by '.join(each)}."


def _chance(alert: AlertProperties) -> str:
    days = alert.recurrence_interval_days
    if alert.interval_is_lower_bound is True:
        return (
            f"It is rarer than anything in {simulated_words(days)} of this area without clusters; "
            f"the area is set to open {alert.budget_per_week:g} alerts a week by chance."
        )
    interval = interval_words(days)
    if alert.interval_kind == "calibrated":
        return (
            f"By chance alone this area sees an alert at least this strong once in {interval}; "
            f"it is set to open {alert.budget_per_week:g} a week by chance."
        )
    if alert.model == BAYES:
        return (
            f"Nominally, chance alone shows as much once in {interval}. This is worked out from the odds and was not "
            "simulated; only a calibration measures it for the area itself."
        )
    return (
        f"Nominally, chance alone shows as much once in {interval}. This is worked out from the p-value of a single "
        "scan and was not simulated. Without a calibration it counts scans and not alerts."
    )


def _life(alert: AlertProperties) -> str:
    opened = f"{alert.opened_at_local:%-d %B, %H:%M}"
    reason = alert.reason.replace("_", " ")
    return (
        f"The alert opened on {opened} and is {alert.state.value} at the tier {alert.tier}, "
        f"as of {alert.updated_at_local:%-d %B, %H:%M} (revision {alert.revision}: {reason}).{_responses(alert)}"
    )


def _responses(alert: AlertProperties) -> str:
    """Return the responses to the alert as a sentence."""
    if not isinstance(alert.response, AlertResponse):
        return ""
    last, zone = alert.response, alert.updated_at_local.tzinfo
    each = (
        ("acknowledged", last.acknowledged_by, last.acknowledged_at),
        ("taken", last.taken_by, last.taken_at),
        (f"noted as {str(last.outcome).replace('_', ' ')}", last.outcome_by, last.outcome_at),
    )
    parts = [
        f"{what} by {who} on {at.astimezone(zone):%-d %B, %H:%M}" for what, who, at in each if isinstance(at, datetime)
    ]
    return f" It was {', '.join(parts)}."


def _doubts(alert: AlertProperties) -> str:
    doubts = [
        f"{each.members} of {alert.observed} {ARTEFACTS[each.kind]}{f' {each.place}' if each.place else ''}"
        for each in alert.artefacts
    ]
    if isinstance(alert.completeness, float) and alert.completeness < COMPLETE:
        doubts.append(
            f"usually {alert.completeness:.0%} of the reports from these hours have come by now, so more can follow"
        )
    if alert.interval_times:
        doubts.append(
            f"for {alert.interval_times} of the events only an interval is known, and a moment within it is used"
        )
    if alert.reported < alert.observed:
        doubts.append(f"{alert.observed - alert.reported} were discovered by patrols, which find most where they look")
    if alert.expected < 0.1:
        doubts.append("hardly anything is usual here, so a few events weigh heavily")
    return f"What may be wrong with it: {'; '.join(doubts)}." if doubts else "No known artefact explains it."
