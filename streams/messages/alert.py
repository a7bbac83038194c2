"""A published alert: a GeoJSON Feature in a CloudEvents 1.0 envelope, in JSON and UTF-8.

The bytes depend only on the alert, the area's settings and the configuration hash. So replay, backtest and live running
can be compared byte for byte. Figures are rounded to six digits, coordinates to 0.1 m. An unknown field is absent,
never ``null``. Whatever differs from run to run (version, host, offsets, latency) is in :class:`Provenance`, a header
of the record.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Meta, UnsetType

from detectors.alerts.alert import Alert
from detectors.alerts.lifecycle import AlertState
from detectors.alerts.notices import Notice
from detectors.alerts.response import Outcome, Responses
from detectors.alerts.stream_figures import StreamFigures
from detectors.area.settings import AreaSettings, Stream
from detectors.area.strata import HOURS_OF_WEEK
from detectors.clusters.artefacts import Artefact
from detectors.scan.significance import Tier
from detectors.window.admission import EARLIEST_S, LATEST_S
from detectors.window.zone_profile import DAYS
from streams.process.strict_json import Count, StrictDecoder

PERMUTATION, BAYES = "space-time-permutation", "space-time-bayes"
PROVENANCE_HEADER = "provenance"
"""Kafka header of a record of the topics ``alerts`` and ``scans``: a :class:`Provenance` in JSON."""

AlertStatus = Literal["actual", "exercise"]
Time = Annotated[datetime, Meta(tz=True)]
Longitude = Annotated[float, Meta(ge=-180, le=180)]
Latitude = Annotated[float, Meta(ge=-90, le=90)]
FIRST_YEAR, LAST_YEAR = 1800, 3100
"""Bounds of every time. Any time zone can show the times between them."""


class Point(msgspec.Struct, frozen=True, tag_field="type", tag="Point"):
    """The centre of the alert's zone, degrees WGS 84: longitude, latitude.

    It is a point because GeoJSON has no circle. The zone is the circle of ``radius_m`` around it, or exactly the
    locations of ``cells``.
    """

    coordinates: tuple[Longitude, Latitude]


class AlertResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The last response of each kind to an alert. Without a response of a kind, its fields are absent."""

    acknowledged_by: str | UnsetType = UNSET
    acknowledged_at: Annotated[
        Time | UnsetType, Meta(description="by the clock of that person, like the other two")
    ] = UNSET
    taken_by: str | UnsetType = UNSET
    taken_at: Time | UnsetType = UNSET
    outcome: Annotated[Outcome | UnsetType, Meta(description="the outcome of the alert")] = UNSET
    outcome_by: str | UnsetType = UNSET
    outcome_at: Time | UnsetType = UNSET

    def __post_init__(self) -> None:
        _check_times(self)

    @classmethod
    def of(cls, responses: Responses) -> AlertResponse | UnsetType:
        """Return the responses of an alert, unset if there are none."""
        if responses == Responses():
            return UNSET
        by = (responses.acknowledged_by, responses.taken_by, responses.outcome_by)
        at_s = (responses.acknowledged_s, responses.taken_s, responses.outcome_s)
        acknowledged_at, taken_at, outcome_at = (_time(s) if who else UNSET for who, s in zip(by, at_s, strict=True))
        return cls(
            acknowledged_by=responses.acknowledged_by or UNSET,
            acknowledged_at=acknowledged_at,
            taken_by=responses.taken_by or UNSET,
            taken_at=taken_at,
            outcome=responses.outcome or UNSET,
            outcome_by=responses.outcome_by or UNSET,
            outcome_at=outcome_at,
        )


class AlsoIn(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of another stream's best cluster that has members of the alert."""

    category: Annotated[Stream, Meta(description="the stream; all: the four categories together")]
    observed: Annotated[Count, Meta(description="events in its cylinder")]
    expected: Annotated[float, Meta(description="events that the past of its zone makes likely")]
    duration_h: Annotated[Count, Meta(description="length of its cylinder in whole hours")]
    score: float
    recurrence_interval_days: Annotated[float, Meta(ge=0)]

    @classmethod
    def of(cls, figures: StreamFigures) -> AlsoIn:
        """Return the figures of a stream."""
        return cls(
            category=figures.stream,
            observed=figures.observed,
            expected=_six_digits(figures.expected),
            duration_h=figures.duration_h,
            score=_six_digits(figures.score),
            recurrence_interval_days=_six_digits(figures.recurrence_interval_days),
        )


class AlertProperties(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of an alert, as a control room needs it.

    Times are RFC 3339 in UTC; those whose name ends in ``_local`` are in the area's own time zone.
    """

    id: Annotated[str, Meta(description="id of the alert, the same in all its revisions")]
    revision: Annotated[int, Meta(ge=1, le=2**53, description="1 for the first; only grows")]
    state: AlertState
    tier: Annotated[Tier, Meta(description="how rare the alert is; the highest tier so far")]
    reason: Annotated[str, Meta(description="why this revision was made")]
    notice: Annotated[
        Notice, Meta(description="what the revision reports to a control room; empty: nothing important, do not sound")
    ]
    status: Annotated[AlertStatus, Meta(description="exercise: a drill; nothing has happened")]
    category: Annotated[
        Stream,
        Meta(
            description="the stream that shows the cluster; all: the four categories together; it can change under the "
            "Bayesian scan"
        ),
    ]
    area: str
    opened_at: Annotated[Time, Meta(description="tick at which the alert was opened, at any tier")]
    opened_at_local: Time
    updated_at: Annotated[Time, Meta(description="tick of this revision; the cylinder ends here")]
    updated_at_local: Time
    alerted_at: Annotated[Time | UnsetType, Meta(description="tick at which the tier alert was first reached")] = UNSET
    ended_at: Annotated[Time | UnsetType, Meta(description="tick at which the alert ended or was withdrawn")] = UNSET
    split_from: Annotated[str | UnsetType, Meta(description="id of the alert that it has split from")] = UNSET
    merged_into: Annotated[str | UnsetType, Meta(description="id of the alert that its cluster now belongs to")] = UNSET
    window_start: Annotated[Time, Meta(description="start of the cylinder")]
    duration_h: Annotated[Count, Meta(description="length of the cylinder in whole hours, the current one included")]
    centre: Annotated[str, Meta(description="id of the centre: an H3 cell or one of the operator's places")]
    radius_m: Annotated[float, Meta(description="metres from the centre to the farthest location of the zone")]
    cells: Annotated[tuple[str, ...], Meta(description="ids of the zone's locations, nearest to the centre first")]
    observed: Annotated[Count, Meta(description="events in the cylinder; several incidents of one event count once")]
    records: Annotated[
        Count | UnsetType,
        Meta(description="incidents in the cylinder; absent if there are as many events"),
    ] = UNSET
    expected: Annotated[float, Meta(description="events that the past of the zone makes likely")]
    relative_risk: Annotated[
        float | UnsetType, Meta(description="observed / expected; absent if nothing was expected")
    ] = UNSET
    llr: Annotated[float, Meta(description="log-likelihood ratio of the cylinder")]
    score: Annotated[
        float,
        Meta(
            description="the LLR standardised by its null distribution; by space-time-bayes, the logarithm of the odds "
            "that a cluster is there, up to a constant"
        ),
    ]
    recurrence_interval_days: Annotated[
        float,
        Meta(
            ge=0,
            description="days after which chance alone shows a cluster at least this strong, on average; at most the "
            "time that was simulated if it is calibrated",
        ),
    ]
    interval_is_lower_bound: Annotated[
        bool | UnsetType,
        Meta(
            description="true: rarer than anything that chance showed in the simulated time, which "
            "recurrence_interval_days then is; otherwise absent"
        ),
    ] = UNSET
    interval_kind: Annotated[
        Literal["nominal", "calibrated"],
        Meta(
            description="calibrated: measured on this area's null histories; nominal: not simulated, but "
            "worked out from the p-value of one scan an hour, or by space-time-bayes from the odds"
        ),
    ]
    budget_per_week: Annotated[
        float | UnsetType,
        Meta(description="alerts a week that chance may open in this area, by the calibration; absent without one"),
    ] = UNSET
    calibration: Annotated[
        str | UnsetType, Meta(description="hash of the calibration behind score and interval; absent without one")
    ] = UNSET
    members: Annotated[tuple[str, ...], Meta(description="ids of all incidents in the cylinder, in order")]
    new_members: Annotated[tuple[str, ...], Meta(description="members that no earlier revision had")]
    breakdown: Annotated[dict[str, Count], Meta(description="events by category")]
    also_in: Annotated[
        tuple[AlsoIn, ...] | UnsetType,
        Meta(description="other streams that show members of the alert, the highest score first; absent if none does"),
    ] = UNSET
    interval_times: Annotated[Count, Meta(description="events whose time is known only as an interval")]
    reported: Annotated[Count, Meta(description="events that were reported; patrols discovered the others")]
    trigger_score: Annotated[
        float, Meta(description="score without discovered events, unless these may trigger; it decides the tier")
    ]
    artefacts: Annotated[
        tuple[Artefact, ...],
        Meta(description="other explanations of the events than a hot spot, the strongest first; empty: none"),
    ] = ()
    artefact_score: Annotated[
        float, Meta(description="the largest share of the events that one of the artefacts explains, 0 to 1")
    ] = 0.0
    completeness: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | UnsetType,
        Meta(description="share of the category's reports from these hours that has usually arrived by now; if known"),
    ] = UNSET
    trend: Annotated[
        Annotated[tuple[Count, ...], Meta(min_length=DAYS, max_length=DAYS)] | UnsetType,
        Meta(
            description="events of the category in the zone on each of the last 14 times 24 h, the last of which "
            "ends with this revision's hour, partly filled; absent in revisions of older versions"
        ),
    ] = UNSET
    profile: Annotated[
        Annotated[tuple[Count, ...], Meta(min_length=HOURS_OF_WEEK, max_length=HOURS_OF_WEEK)] | UnsetType,
        Meta(
            description="events of the category in the zone over the window by hour of the week, local time, the "
            "first from Monday 00:00 to 01:00; absent in revisions of older versions"
        ),
    ] = UNSET
    response: Annotated[AlertResponse | UnsetType, Meta(description="absent before the first response")] = UNSET
    model: Annotated[
        str,
        Meta(description="model of the expected count and of the score: space-time-permutation or space-time-bayes"),
    ]
    seed: Annotated[int, Meta(description="seed of the replications")]
    configuration: Annotated[str, Meta(description="hash of the settings and locations of the Monitor")]
    tick_s: Annotated[
        int, Meta(ge=EARLIEST_S, le=LATEST_S, description="tick of this revision in seconds since 1970 UTC")
    ]

    def __post_init__(self) -> None:
        _check_times(self)
        if self.interval_kind == "calibrated" and self.budget_per_week is UNSET:
            raise ValueError("budget_per_week: must be given with a calibrated interval")
        if self.interval_is_lower_bound is True and self.interval_kind == "nominal":
            raise ValueError("interval_is_lower_bound: must be absent with a nominal interval, which was not simulated")


class AlertFeature(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="Feature"):
    """GeoJSON Feature (RFC 7946). Its id is the id of the alert."""

    id: str
    geometry: Point
    properties: AlertProperties


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of an alert, a CloudEvents 1.0 event in structured mode. Its ``source`` and ``id`` are unique."""

    specversion: Literal["1.0"]
    type: Literal["hotspots.alert"]
    source: Annotated[str, Meta(description="hotspots/ and the area")]
    id: Annotated[str, Meta(description="id of the alert, a full stop, the revision")]
    subject: Annotated[str, Meta(description="id of the alert")]
    time: Annotated[Time, Meta(description="tick of the revision")]
    datacontenttype: Literal["application/geo+json"]
    data: AlertFeature


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Describes the run that published an event or a scan record.

    These fields can differ between two runs over the same records.
    """

    version: Annotated[str, Meta(description="version of hotspot-monitor")]
    host: str
    partition: Annotated[int, Meta(description="partition of the topic incidents")]
    next_offset: Annotated[int, Meta(description="first offset of that partition that the scan did not cover")]
    latency_s: Annotated[
        float, Meta(description="seconds from the tick to publication; after a response, from the response's arrival")
    ]
    delayed: Annotated[bool, Meta(description="published over 60 s after its tick on a wall clock: do not sound")]

    def encode(self) -> bytes:
        """Return the header's value, JSON."""
        return msgspec.json.encode(self)


class _Delay(msgspec.Struct):
    delayed: bool = False


_TIMES = [
    name
    for name in AlertProperties.__struct_fields__ + AlertResponse.__struct_fields__
    if name.endswith(("_at", "_at_local", "_start"))
]
_encoder = msgspec.json.Encoder(order="deterministic")
_alert = StrictDecoder[AlertEvent](AlertEvent)
_provenance = StrictDecoder[_Delay](_Delay)


def alert_event(
    alert: Alert,
    settings: AreaSettings,
    configuration_id: str,
    status: AlertStatus = "actual",
) -> bytes:
    """Return the event of one revision. Equal arguments give equal bytes.

    ``settings`` and ``configuration_id`` (the configuration hash) are those of the Monitor that made the alert.
    """
    zone, figures = ZoneInfo(settings.timezone), alert.figures
    risk = figures.observed / figures.expected if figures.expected else math.inf
    properties = AlertProperties(
        id=alert.id,
        revision=alert.revision,
        state=alert.state,
        tier=alert.tier,
        reason=alert.reason,
        notice=alert.notice,
        status=status,
        category=alert.stream,
        area=alert.area,
        opened_at=_time(alert.opened_s),
        opened_at_local=_time(alert.opened_s, zone),
        updated_at=_time(alert.tick_s),
        updated_at_local=_time(alert.tick_s, zone),
        alerted_at=UNSET if alert.alerted_s is None else _time(alert.alerted_s),
        ended_at=UNSET if alert.ended_s is None else _time(alert.ended_s),
        split_from=alert.split_from or UNSET,
        merged_into=alert.merged_into or UNSET,
        window_start=_time(figures.start_s),
        duration_h=figures.duration_h,
        centre=figures.centre,
        radius_m=round(figures.radius_m, 1),
        cells=figures.locations,
        observed=figures.observed,
        records=figures.records or UNSET,
        expected=_six_digits(figures.expected),
        relative_risk=UNSET if math.isinf(risk) else _six_digits(risk),
        llr=_six_digits(figures.llr),
        score=_six_digits(figures.score),
        recurrence_interval_days=_six_digits(figures.recurrence_interval_days),
        interval_is_lower_bound=figures.interval_is_lower_bound,
        interval_kind="calibrated" if figures.calibration else "nominal",
        budget_per_week=UNSET if figures.budget_per_week is None else figures.budget_per_week,
        calibration=figures.calibration or UNSET,
        members=alert.members,
        new_members=alert.new_members,
        breakdown=figures.breakdown,
        also_in=tuple(map(AlsoIn.of, alert.also_in)) or UNSET,
        interval_times=figures.interval_times,
        reported=figures.reported,
        trigger_score=_six_digits(figures.trigger_score),
        artefacts=tuple(
            msgspec.structs.replace(each, score=_six_digits(each.score)) for each in figures.artefacts.found
        ),
        artefact_score=_six_digits(figures.artefacts.score),
        completeness=UNSET if figures.completeness is None else _six_digits(figures.completeness),
        trend=alert.zone_profile.trend or UNSET,
        profile=alert.zone_profile.profile or UNSET,
        response=AlertResponse.of(alert.responses),
        model=BAYES if settings.is_bayesian else PERMUTATION,
        seed=settings.seed,
        configuration=configuration_id,
        tick_s=alert.tick_s,
    )
    centre = Point((round(figures.longitude, 6), round(figures.latitude, 6)))
    event = AlertEvent(
        specversion="1.0",
        type="hotspots.alert",
        source=f"hotspots/{alert.area}",
        id=f"{alert.id}.{alert.revision}",
        subject=alert.id,
        time=_time(alert.tick_s),
        datacontenttype="application/geo+json",
        data=AlertFeature(id=alert.id, geometry=centre, properties=properties),
    )
    return _encoder.encode(event)


def read_alert(value: bytes | None) -> AlertEvent:
    """Return the event in a record of the topic ``alerts`` or in an entry in Redis. Unknown fields are ignored.

    Raises:
        msgspec.DecodeError: The record is not such an event; the text names the field.
    """
    return _alert.decode(value)


def is_delayed(provenance: bytes | None) -> bool:
    """Return whether a revision or a scan record was published long after its tick; False without provenance.

    Raises:
        msgspec.DecodeError: The header is not a provenance.
    """
    return bool(provenance) and _provenance.decode(provenance).delayed


def _check_times(of: AlertProperties | AlertResponse) -> None:
    for name in _TIMES:
        value = getattr(of, name, UNSET)
        if isinstance(value, datetime) and not FIRST_YEAR <= value.year <= LAST_YEAR:
            raise ValueError(f"{name}: must lie between the years {FIRST_YEAR} and {LAST_YEAR}")


def _time(seconds: int, zone: ZoneInfo | None = None) -> datetime:
    return datetime.fromtimestamp(seconds, zone or UTC)


def _six_digits(figure: float) -> float:
    return float(f"{figure:.6g}")
