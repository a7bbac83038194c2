"""Words for people: terms, figures and intervals. The console serves them to its page (``GET /static/terms.js``).

The terms begin with a capital letter, which becomes small within a sentence.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from detectors.alerts.lifecycle import AlertState, Reason
from detectors.alerts.notices import Notice
from detectors.alerts.response import Action, Outcome
from detectors.area.districts import District
from detectors.area.settings import Stream
from detectors.clusters.artefacts import ArtefactKind
from detectors.scan.significance import Tier
from detectors.window.further import FurtherShares
from detectors.window.silent_parts import SilentPart

LONG_YEARS = 100
"""Longest interval that is written out, in years. Nominal intervals beyond it only rank alerts."""
YEAR_DAYS = 365.25
MONTH_DAYS = YEAR_DAYS / 12
SHORT_YEARS = 3
"""Number of years below which a simulated time is written in months."""
ROUNDED_UP = 0.1
"""Largest part of a year or month that a simulated time may lack to a whole number."""

TIERS = {Tier.WATCH: "Watch", Tier.ADVISORY: "Advisory", Tier.ALERT: "Alert", Tier.URGENT: "Urgent"}
"""Tiers, the lowest first."""

STREAMS = {
    Stream.VIOLENCE: "Violence",
    Stream.PROPERTY: "Property",
    Stream.DRUGS: "Drugs",
    Stream.DISORDER: "Disorder",
    Stream.ALL: "All incidents",
}

STATES = {
    AlertState.OPEN: "Open",
    AlertState.ESCALATED: "Escalated",
    AlertState.EASING: "Easing",
    AlertState.ENDED: "Ended",
    AlertState.WITHDRAWN: "Withdrawn",
}

REASONS = {
    Reason.OPENED: "Opened",
    Reason.TIER_ROSE: "More urgent than before",
    Reason.NEW_MEMBERS: "New incidents",
    Reason.CATEGORY_CHANGED: "Another category, or all together, show it better",
    Reason.RELOCATED: "Its incidents were relocated",
    Reason.REMINDER: "Nothing new, but still there",
    Reason.SCORE_FELL: "No longer strong enough, easing",
    Reason.SCORE_RECOVERED: "Strong again",
    Reason.MERGED: "Merged into another alert",
    Reason.MEMBERS_CANCELLED: "Too many of its incidents were cancelled",
    Reason.QUIET: "Quiet for long enough",
    Reason.RECONFIGURED: "Its locations are no longer watched",
    Reason.ACKNOWLEDGED: "Acknowledged",
    Reason.TAKEN: "Taken",
    Reason.OUTCOME_NOTED: "Outcome noted",
}

NOTICES = {
    Notice.OPENED: "New alert",
    Notice.ESCALATED: "Escalated",
    Notice.TIER: "Strength changed",
    Notice.AREA: "Zone changed",
    Notice.RISK: "Risk changed",
    Notice.REMINDER: "Reminder",
    Notice.ENDED: "Ended",
}
"""Notices. A silent revision has none."""

MATERIAL = (Notice.ESCALATED, Notice.TIER, Notice.AREA, Notice.RISK)
"""Notices of a change to an alert that people already know. The page marks such an alert as changed."""


class ResponseTerms(NamedTuple):
    """The names that a response has in an alert.

    ``reason``: reason of the revision that shows the response.
    ``field``: prefix of the response's fields, such as ``taken`` in ``taken_by``.
    """

    reason: Reason
    field: str


RESPONSES: dict[Action, ResponseTerms] = {
    "acknowledge": ResponseTerms(Reason.ACKNOWLEDGED, "acknowledged"),
    "take": ResponseTerms(Reason.TAKEN, "taken"),
    "outcome": ResponseTerms(Reason.OUTCOME_NOTED, "outcome"),
}

OUTCOMES: dict[Outcome, str] = {
    "genuine_series": "Genuine series",
    "venue": "Venue",
    "data_artefact": "Data artefact",
    "unknown": "Unknown",
}

ARTEFACTS = {
    ArtefactKind.STACK: "One coordinate",
    ArtefactKind.DUPLICATES: "Possible duplicate calls",
    ArtefactKind.DENIED: "Listed place",
    ArtefactKind.VENUE: "One venue",
}


class FeedWords(NamedTuple):
    """Words for the state of an area's feed. The page replaces the names in braces.

    ``level``: how bad the state is.
    ``short``: text for a label.
    ``long``: text that explains it.
    """

    level: Literal["good", "warning", "bad"]
    short: str
    long: str


FEEDS = {
    "healthy": FeedWords("good", "Healthy", ""),
    "learning": FeedWords(
        "warning",
        "Learning",
        "{area} cannot open alerts yet. It needs {missing} more of history to know what is unusual.",
    ),
    "silent": FeedWords(
        "bad",
        "No data",
        "No data from {area}. Last record: {last_record}. An empty list does not mean that nothing happens.",
    ),
    "catching_up": FeedWords(
        "warning",
        "Catching up",
        "{area} is catching up, {lag} behind. Alerts come late, and some are still missing.",
    ),
    "kafka_away": FeedWords(
        "bad", "Kafka unreachable", "The worker of {area} cannot reach Kafka. Nothing new can be seen."
    ),
    "clock": FeedWords(
        "bad",
        "Clock wrong",
        "A clock around {area} is wrong. Incidents are still scanned, but times shown here can be wrong.",
    ),
}
"""Words for each state of a feed."""


def part_words(district: District, stream: Stream) -> str:
    """Return a part of an area as text.

    >>> from detectors.area.districts import Quarter
    >>> part_words((Quarter.NORTH_WEST, Quarter.SOUTH_EAST), Stream.DRUGS)
    'drugs from the south-east of the north-west'
    """
    words = "incidents" if stream is Stream.ALL else STREAMS[stream].lower()
    return f"{words} from the {' of the '.join(reversed(district))}" if district else words


def silence_words(part: SilentPart, timezone: ZoneInfo) -> str:
    """Return a silent part with its figures as text.

    >>> part = SilentPart(district=(), stream=Stream.DRUGS, since_s=600, hours=12, observed=0, usual=9.31)
    >>> silence_words(part, ZoneInfo("UTC"))
    'no drugs since 1 January 00:10: 0 in 12 h, 9.3 usual'
    """
    since = datetime.fromtimestamp(part.since_s, timezone)
    what = f"{'hardly any' if part.observed else 'no'} {part_words(part.district, part.stream)}"
    figures = f"{part.observed} in {part.hours} h, {figure_words(part.usual)} usual"
    return f"{what} since {since.day} {since:%B %H:%M}: {figures}"


def further_words(shares: FurtherShares) -> str:
    """Return which share of the incidents are further records of an event.

    >>> further_words(FurtherShares(0.12, 0.013, True))
    "12 % of the last week's incidents are of an event already counted, 1.3 % before"
    """
    last_week, before = figure_words(100 * shares.last_week), figure_words(100 * shares.before)
    return f"{last_week} % of the last week's incidents are of an event already counted, {before} % before"


def figure_words(figure: float) -> str:
    """Return a figure with two significant digits or as a whole number; never with an exponent."""
    return f"{figure:,.0f}" if figure >= 99.5 else f"{figure:.2g}" if figure >= 1e-4 else "hardly any"


def chance_words(days: float, kind: str, is_lower_bound: bool) -> str:
    """Return how often chance alone shows as much, such as "by chance once in 90 days".

    ``days``, ``kind``, ``is_lower_bound``: the interval of an alert, as in its message.
    """
    if is_lower_bound:
        return f"rarer than anything in {simulated_words(days)}"
    nominal = " (nominal)" if kind == "nominal" else ""
    return f"by chance once in {interval_words(days)}{nominal}"


def simulated_words(days: float) -> str:
    """Return the time that was simulated as text: "8 simulated years", "18 simulated months"."""
    is_short = days < (SHORT_YEARS - ROUNDED_UP) * YEAR_DAYS
    number = int(days / (MONTH_DAYS if is_short else YEAR_DAYS) + ROUNDED_UP)
    unit = "month" if is_short else "year"
    return f"{number:,} simulated {unit}{'' if number == 1 else 's'}" if number else "less than a simulated month"


def interval_words(days: float, is_lower_bound: bool = False) -> str:
    """Return a recurrence interval as text: "6 hours", "90 days", "100+ years", "over 8 simulated years"."""
    if is_lower_bound:
        return f"over {simulated_words(days)}"
    if days < 1 / 24:
        return "less than an hour"
    if days < 2:
        hours = figure_words(24 * days)
        return f"{hours} hour{'' if hours == '1' else 's'}"
    years = days / YEAR_DAYS
    if days < 730:
        return f"{figure_words(days)} days"
    return f"{figure_words(years)} years" if years < LONG_YEARS - 0.5 else f"{LONG_YEARS:,}+ years"
