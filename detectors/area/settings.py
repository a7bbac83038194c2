"""The settings of one area: the part of the configuration that the Monitor reads.

Every field has a safe default, so no file is needed to start.
"""

from __future__ import annotations

import enum
import functools
import hashlib
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec

from detectors.area.incident import Category
from detectors.area.locations import Locations
from detectors.area.moment import IntervalTimes

PositiveInt = Annotated[int, msgspec.Meta(gt=0)]
PositiveFloat = Annotated[float, msgspec.Meta(gt=0)]


HEALTH_ONLY = frozenset({"silent_parts_per_quarter"})
"""Settings on which no alert depends, so they are no part of the configuration hash."""


class Stream(enum.StrEnum):
    """What is scanned: one of the four categories, or all of them together."""

    VIOLENCE = "violence"
    PROPERTY = "property"
    DRUGS = "drugs"
    DISORDER = "disorder"
    ALL = "all"


STREAMS = tuple(Stream)
"""The streams by index."""

CATEGORY_MAP: dict[str, Category] = {
    **{category.value: category for category in Category},
    "anti-social-behaviour": Category.DISORDER,
    "bicycle-theft": Category.PROPERTY,
    "burglary": Category.PROPERTY,
    "criminal-damage-and-arson": Category.DISORDER,
    "criminal-damage-arson": Category.DISORDER,
    "other-crime": Category.OTHER,
    "other-theft": Category.PROPERTY,
    "possession-of-weapons": Category.VIOLENCE,
    "public-order": Category.DISORDER,
    "robbery": Category.VIOLENCE,
    "shoplifting": Category.PROPERTY,
    "theft-from-the-person": Category.PROPERTY,
    "vehicle-crime": Category.PROPERTY,
    "violence-and-sexual-offences": Category.VIOLENCE,
    "violent-crime": Category.VIOLENCE,
}
"""Category word of a source -> category. All words in the service and the files of data.police.uk are built in."""


@functools.lru_cache(maxsize=4096)
def word_of(category: str) -> str:
    """Return the form in which a category word is looked up. Case, spaces, underscores and hyphens do not matter.

    >>> word_of("Criminal damage_and arson")
    'criminal-damage-and-arson'
    """
    return "-".join(category.casefold().replace("_", " ").replace("-", " ").split())


class TierSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The nominal recurrence interval, in days, at which each tier begins without a calibration."""

    watch: PositiveFloat = 30.0
    advisory: PositiveFloat = 100.0
    alert: PositiveFloat = 365.0
    urgent: PositiveFloat = 1826.25

    def __post_init__(self) -> None:
        if self.watch <= 1 / 24:
            raise ValueError(f"watch = {self.watch}: must be longer than the hour between two scans (default 30)")
        if not self.watch < self.advisory < self.alert < self.urgent:
            raise ValueError("watch, advisory, alert, urgent: must rise in this order (default 30, 100, 365, 1826.25)")


class RepeatSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an open alert sends another notice: which changes are large enough, and when a reminder is due."""

    same_risk: Annotated[float, msgspec.Meta(ge=1)] = 1.5
    same_area: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    reminder_h: Annotated[float, msgspec.Meta(ge=0)] = 24.0


class SameEventSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How close records of one category must be, in metres and in seconds, to be of the same event.

    With ``within_s = 0`` every record is an event of its own.
    """

    within_m: Annotated[float, msgspec.Meta(ge=0, le=500)] = 50.0
    within_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 600


EACH_RECORD = SameEventSettings(within_m=0.0, within_s=0)
"""With these limits, every record is an event of its own."""

FORMER: dict[str, object] = {
    "statistic": "permutation",
    "same_event": msgspec.to_builtins(EACH_RECORD),
    "interval_times": "end",
}
"""What earlier versions did without these settings. Their logs name hashes without them."""


class DeniedPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place with misleading coordinates: a police station, a hospital, the default point for missing addresses.

    ``longitude`` and ``latitude`` are in degrees WGS 84. Alerts report how many of their incidents lie within
    ``radius_m``.
    """

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    radius_m: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 100.0


class AreaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of one area. Units are in the names; ``config/monitor.toml`` explains each field."""

    timezone: str = "UTC"
    clock: Literal["wall", "watermark"] = "wall"
    tick_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 1
    max_ahead_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 300
    max_jump_days: PositiveInt = 7
    window_days: Annotated[int, msgspec.Meta(ge=1, le=3660)] = 91
    min_baseline_days: Annotated[int, msgspec.Meta(ge=0)] = 28
    statistic: Literal["bayes", "permutation"] = "bayes"
    durations_h: tuple[PositiveInt, ...] = (2, 4, 8, 12, 24, 48, 96, 168)
    strata: Literal["none", "operational", "friday_saturday", "each_weekend_day"] = "operational"
    max_radius_m: Annotated[float, msgspec.Meta(gt=0, le=20_000)] = 500.0
    min_cases: Annotated[int, msgspec.Meta(ge=3)] = 3
    discovered_may_trigger: bool = False
    max_clusters: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    same_event: SameEventSettings = SameEventSettings()
    interval_times: IntervalTimes = "spread"
    replications: Annotated[int, msgspec.Meta(ge=99, le=99_999)] = 199
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    tiers: TierSettings = TierSettings()
    repeats: RepeatSettings = RepeatSettings()
    ease_below: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    end_after_h: PositiveFloat = 6.0
    cool_down_h: Annotated[float, msgspec.Meta(ge=0)] = 48.0
    silent_after_gaps: Annotated[float, msgspec.Meta(ge=0)] = 6.0
    silent_parts_per_quarter: Annotated[float, msgspec.Meta(ge=0, le=100)] = 1.0
    cool_down_m: Annotated[float, msgspec.Meta(ge=0)] = 500.0
    categories: dict[str, Category] = {}
    deny_list: tuple[DeniedPlace, ...] = ()

    def __post_init__(self) -> None:
        faults = []
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            faults.append(f"timezone = {self.timezone!r}: must be an IANA name such as 'Europe/London' (default 'UTC')")
        durations = list(self.durations_h)
        if not durations or durations != sorted(set(durations)):
            faults.append(
                f"durations_h = {durations}: must be rising whole hours (default [2, 4, 8, 12, 24, 48, 96, 168])"
            )
        elif durations[-1] > self.window_days * 24 // 2:
            faults.append(
                f"durations_h = {durations}: the longest must fit twice into window_days = {self.window_days} "
                "(default 168 h in 91 days)"
            )
        if 3600 % self.tick_s:
            faults.append(f"tick_s = {self.tick_s}: must divide an hour, 3600 s (default 1)")
        if faults:
            raise ValueError("\n".join(faults))

    @property
    def is_bayesian(self) -> bool:
        """Whether the area is scanned by Bayes factors."""
        return self.statistic == "bayes"

    @property
    def needed_days(self) -> int:
        """How long an incident is needed, in days. Usual rates rest on a window that ended up to a week ago."""
        return self.window_days + 7 * self.is_bayesian

    @property
    def category_map(self) -> dict[str, Category]:
        """Every known word (:func:`word_of`) -> category. Words of the operator replace built-in words."""
        return CATEGORY_MAP | {word_of(word): category for word, category in self.categories.items()}

    def digest(self, locations: Locations) -> str:
        """Return the configuration hash: SHA-256 in hex over the settings and the frozen locations."""
        known = msgspec.to_builtins(self, order="deterministic")
        matter = {name: value for name, value in known.items() if FORMER.get(name) != value and name not in HEALTH_ONLY}
        settings = msgspec.json.encode(matter)
        written = msgspec.json.encode(locations.written(), order="deterministic")
        return hashlib.sha256(b"[%b,%b]" % (settings, written)).hexdigest()
