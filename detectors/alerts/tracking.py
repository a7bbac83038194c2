"""Alerts: clusters with an identity and a life, kept by the incidents they share."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np

from detectors.alerts.lifecycle import OPENED, TERMINAL, AlertState, Event, step
from detectors.alerts.matching import Kinship
from detectors.alerts.notices import Notice, Said, is_due, notice
from detectors.alerts.response import Action, Response, Responses
from detectors.area.locations import to_sphere
from detectors.area.settings import AreaSettings
from detectors.clusters.artefacts import Artefacts
from detectors.clusters.cluster import Cluster
from detectors.scan.significance import TIERS, Chance, Nominal
from detectors.window.zone_profile import ZoneProfile

ANSWERS: dict[Action, Event] = {"acknowledge": Event.ACKNOWLEDGED, "take": Event.TAKEN, "outcome": Event.NOTED}


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One revision of an alert: everything the Monitor knows of it at the tick of the revision.

    Times are seconds since 1970 UTC. ``alerted_s`` is the tick at which the tier ``alert`` was first reached;
    ``tier`` the highest reached so far; ``notice`` what it tells a control room, if anything; ``start_s`` the start
    of the cylinder; ``new_members`` those that no revision named before; ``split_from`` and ``merged_into`` ids of
    other alerts, empty for none; ``responses`` what people did about it; ``trend`` and ``profile`` what its zone
    has seen (:class:`~detectors.window.zone_profile.ZoneProfile`). While an alert eases, at a response and at its
    end, the figures are those of the revision before.
    """

    id: str
    revision: int
    area: str
    stream: str
    state: str
    tier: str
    reason: str
    notice: str
    opened_s: int
    alerted_s: int | None
    tick_s: int
    ended_s: int | None
    split_from: str
    merged_into: str
    centre: str
    longitude: float
    latitude: float
    radius_m: float
    locations: tuple[str, ...]
    duration_h: int
    start_s: int
    observed: int
    expected: float
    llr: float
    score: float
    recurrence_interval_days: float
    members: tuple[str, ...]
    new_members: tuple[str, ...]
    breakdown: dict[str, int]
    interval_times: int
    reported: int
    trigger_score: float
    calibration: str = ""
    budget_per_week: float | None = None
    artefacts: Artefacts = Artefacts()
    completeness: float | None = None
    responses: Responses = Responses()
    trend: tuple[int, ...] = ()
    profile: tuple[int, ...] = ()


class Followed(msgspec.Struct, frozen=True):
    """An open alert, and what is remembered of it.

    ``told``: all members that revisions told of; ``quiet_since_s``: since when no strong cluster has any, None if one
    does; ``said``: its last notice; ``unsaid``: members that only silent revisions told of.
    """

    alert: Alert
    told: tuple[str, ...]
    quiet_since_s: int | None
    said: Said
    unsaid: tuple[str, ...] = ()


class CoolDown(msgspec.Struct, frozen=True):
    """A place where an alert ended: nothing opens near it in that stream until a moment."""

    stream: str
    longitude: float
    latitude: float
    until_s: int


class NoSuchAlert(ValueError):
    """A response to an alert that is not open; nothing is changed."""


class TrackerState(msgspec.Struct, frozen=True):
    """All that tracking remembers between scans; ``reconfigured``: streams not scanned since the settings changed."""

    followed: tuple[Followed, ...] = ()
    cool_downs: tuple[CoolDown, ...] = ()
    reconfigured: tuple[str, ...] = ()


def alert_id(area: str, stream: str, opened_s: int, centre: str, members: Iterable[str]) -> str:
    """The first 128 bits of SHA-256 over what makes an alert this alert, in hex.

    >>> alert_id("leeds", "violence", 0, "8a195da49b9ffff", ["a", "b"])
    '1dbe3f1e1bcd6ddf1a4b2f4b4b0ed36e'
    """
    content = msgspec.json.encode((area, stream, opened_s, centre, sorted(members)))
    return hashlib.sha256(content).hexdigest()[:32]


class Tracker:
    """Matches the clusters of each scan to the alerts that are open, stream by stream.

    ``is_reconfigured``: the state was kept under other settings or locations. ``chance``: how rare scores are, the
    calibration where there is one.
    """

    def __init__(
        self,
        area: str,
        settings: AreaSettings,
        state: TrackerState | None = None,
        is_reconfigured: bool = False,
        chance: Chance | None = None,
    ) -> None:
        state = state or TrackerState()
        self._area, self._settings = area, settings
        self._chance = chance or Nominal(settings.tiers)
        self._open_at = self._chance.score_of(TIERS[0])
        self._followed = {followed.alert.id: followed for followed in state.followed}
        self._cool_downs = list(state.cool_downs)
        self._reconfigured = {*state.reconfigured}
        if is_reconfigured:
            self._reconfigured |= {followed.alert.stream for followed in state.followed}

    def go_by(self, chance: Chance) -> None:
        """Let scores be as rare as another calibration says."""
        self._chance = chance
        self._open_at = chance.score_of(TIERS[0])

    @property
    def weakest_score(self) -> float:
        """Clusters below this score do not matter: they neither open an alert nor keep one alive."""
        return self._open_at - self._settings.ease_below

    @property
    def state(self) -> TrackerState:
        """What must be kept to go on later as if nothing had happened."""
        followed, cool_downs = tuple(self._followed.values()), tuple(self._cool_downs)
        return TrackerState(followed, cool_downs, tuple(sorted(self._reconfigured)))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The open alerts, oldest first."""
        return tuple(followed.alert for followed in self._followed.values())

    def update(
        self,
        stream: str,
        tick_s: int,
        clusters: Sequence[Cluster],
        standing: set[str],
        is_silent: bool = False,
        look_back: Callable[[Cluster], ZoneProfile] = lambda _: ZoneProfile(),
    ) -> list[Alert]:
        """New revisions after one scan of a stream.

        ``clusters`` are those of :attr:`weakest_score` or more, best first; ``standing`` the members
        of this stream's open alerts that still lie in the window. While the feed ``is_silent`` no quiet time passes.
        ``look_back`` tells what a cluster's zone has seen, and is asked for clusters of which there is a revision.
        """
        self._cool_downs = [place for place in self._cool_downs if place.until_s > tick_s]
        mine = [followed for followed in self._followed.values() if followed.alert.stream == stream]
        kin = Kinship.between([(each.alert.id, each.told) for each in mine], clusters)
        changes = []
        for followed in mine:
            change = self._follow(followed, kin, tick_s, standing, is_silent, look_back)
            if change is not None:
                changes.append(change)
        for cluster, split_from in kin.new:
            if cluster.trigger_score >= self._open_at and not self._cooling(stream, cluster):
                changes.append(self._open(stream, tick_s, cluster, split_from, look_back))
        self._reconfigured.discard(stream)
        return changes

    def respond(self, response: Response, tick_s: int) -> Alert | None:
        """The revision of an open alert that is answered, None if that is nothing new. No notice: people know.

        Raises:
            NoSuchAlert: it is not open.
        """
        followed = self._followed.get(response.alert)
        if followed is None:
            raise NoSuchAlert(f"{response.alert}: is not the id of an open alert")
        alert = followed.alert
        responses = alert.responses.after(response)
        if responses is alert.responses:
            return None
        state, reason = step(AlertState(alert.state), ANSWERS[response.action])
        alert = msgspec.structs.replace(
            alert,
            revision=alert.revision + 1,
            state=state,
            reason=reason,
            notice=Notice.SILENT,
            tick_s=tick_s,
            new_members=(),
            responses=responses,
        )
        self._followed[alert.id] = msgspec.structs.replace(followed, alert=alert)
        return alert

    def _open(
        self, stream: str, tick_s: int, cluster: Cluster, split_from: str, look_back: Callable[[Cluster], ZoneProfile]
    ) -> Alert:
        tier = self._tier(cluster) or TIERS[0]
        said = self._said(cluster, tick_s)
        alert = Alert(
            id=alert_id(self._area, stream, tick_s, cluster.centre, cluster.members),
            revision=1,
            area=self._area,
            stream=stream,
            state=AlertState.OPEN,
            tier=tier,
            reason=OPENED,
            notice=notice(AlertState.OPEN, False, True, said, None, self._settings.repeats),
            opened_s=tick_s,
            alerted_s=tick_s if _reached(tier, "alert") else None,
            tick_s=tick_s,
            ended_s=None,
            split_from=split_from,
            merged_into="",
            new_members=cluster.members,
            **_figures(cluster, look_back),
        )
        self._followed[alert.id] = Followed(alert, alert.members, None, said)
        return alert

    def _follow(
        self,
        followed: Followed,
        kin: Kinship,
        tick_s: int,
        standing: set[str],
        is_silent: bool,
        look_back: Callable[[Cluster], ZoneProfile],
    ) -> Alert | None:
        alert = followed.alert
        cluster, merged_into = kin.cluster_of.get(alert.id), kin.merged_into.get(alert.id, "")
        event, quiet_since_s = self._event(followed, cluster, tick_s, standing, is_silent)
        if merged_into and event in (Event.FELL, Event.LAPSED):
            event = Event.MERGED
        state, reason = step(AlertState(alert.state), event)
        tier = alert.tier
        if event is Event.ROSE and cluster is not None:
            tier = self._tier(cluster) or tier
        said, unsaid = followed.said, followed.unsaid
        if reason:
            untold = _untold(followed, cluster) if cluster else ()
            unsaid = _union(unsaid, untold)
            has_news = (cluster is not None and not {*unsaid}.isdisjoint(cluster.members)) or event is Event.MOVED
            now = self._said(cluster or alert, tick_s)
            is_muted = bool(alert.responses.acknowledged_by)
            says = notice(state, event is Event.ROSE, has_news, now, said, self._settings.repeats, is_muted)
            alert = msgspec.structs.replace(
                alert,
                revision=alert.revision + 1,
                state=state,
                tier=tier,
                reason=reason,
                notice=says,
                alerted_s=tick_s if alert.alerted_s is None and _reached(tier, "alert") else alert.alerted_s,
                tick_s=tick_s,
                ended_s=tick_s if state in TERMINAL else None,
                merged_into=merged_into if event is Event.MERGED else "",
                new_members=untold,
                **(_figures(cluster, look_back) if cluster else {}),
            )
            if says:
                said, unsaid = now, ()
        if state in TERMINAL:
            del self._followed[alert.id]
            if event is not Event.MERGED:  # its place is watched by the other alert
                until_s = tick_s + round(self._settings.cool_down_h * 3600)
                self._cool_downs.append(CoolDown(alert.stream, alert.longitude, alert.latitude, until_s))
        else:
            told = _union(followed.told, alert.members)
            self._followed[alert.id] = Followed(alert, told, quiet_since_s, said, unsaid)
        return alert if reason else None

    def _tier(self, cluster: Cluster | Alert) -> str | None:
        return self._chance.tier(cluster.trigger_score)

    def _said(self, cluster: Cluster | Alert, tick_s: int) -> Said:
        return Said(tick_s, self._tier(cluster) or "", cluster.observed, cluster.expected, cluster.locations)

    def _event(
        self, followed: Followed, cluster: Cluster | None, tick_s: int, standing: set[str], is_silent: bool
    ) -> tuple[Event, int | None]:
        alert, quiet_since_s = followed.alert, followed.quiet_since_s
        if cluster is not None:
            tier, has_grown = self._tier(cluster), bool(_untold(followed, cluster))
            # Another calibration alone makes no alert rarer than it was: the tier rises when something happens.
            is_same_measure = alert.calibration == cluster.calibration
            if tier is not None and not _reached(alert.tier, tier) and (has_grown or is_same_measure):
                return Event.ROSE, None
            if has_grown:
                return Event.GREW, None
            if _has_moved(alert, cluster):
                return Event.MOVED, None
            is_muted = bool(alert.responses.acknowledged_by)
            return (Event.DUE if is_due(tick_s, followed.said, self._settings.repeats, is_muted) else Event.HELD), None
        if sum(member in standing for member in alert.members) < self._settings.min_cases:
            return (Event.EXCLUDED if alert.stream in self._reconfigured else Event.EMPTIED), quiet_since_s
        if quiet_since_s is None or is_silent:
            return Event.FELL, tick_s
        lapsed = tick_s - quiet_since_s >= self._settings.end_after_h * 3600
        return (Event.LAPSED if lapsed else Event.FELL), quiet_since_s

    def _cooling(self, stream: str, cluster: Cluster) -> bool:
        places = [place for place in self._cool_downs if place.stream == stream]
        if not places:
            return False
        here = to_sphere(np.array([cluster.longitude]), np.array([cluster.latitude]))
        there = to_sphere(np.array([p.longitude for p in places]), np.array([p.latitude for p in places]))
        return bool((np.linalg.norm(there - here, axis=1) <= self._settings.cool_down_m).any())


def _untold(followed: Followed, cluster: Cluster) -> tuple[str, ...]:
    return tuple(sorted(set(cluster.members) - set(followed.told)))


def _has_moved(alert: Alert, cluster: Cluster) -> bool:
    """Whether members that the last revision named are now at none of the places that it named."""
    is_elsewhere = {*alert.locations}.isdisjoint(cluster.locations)
    return is_elsewhere and not {*alert.members}.isdisjoint(cluster.members)


def _union(told: tuple[str, ...], members: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*told, *members}))


def _reached(tier: str, wanted: str) -> bool:
    return TIERS.index(tier) >= TIERS.index(wanted)


def _figures(cluster: Cluster, look_back: Callable[[Cluster], ZoneProfile]) -> dict[str, Any]:
    figures = {field.name: getattr(cluster, field.name) for field in dataclasses.fields(cluster)}
    return figures | look_back(cluster)._asdict()
