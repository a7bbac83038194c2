"""The tracker: follows the alerts of an area from scan to scan, by the incidents that they share with clusters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from detectors.alerts.alert import Alert, alert_id
from detectors.alerts.lifecycle import TERMINAL, AlertState, Event, Reason, step
from detectors.alerts.matching import Kinship, Known
from detectors.alerts.notices import Notice, NoticeFigures, is_due, notice
from detectors.alerts.response import Action, Response
from detectors.alerts.stream_figures import StreamFigures, streams_of
from detectors.area.locations import to_sphere
from detectors.area.settings import AreaSettings, Stream
from detectors.clusters.cluster import Cluster, Figures
from detectors.scan.significance import TIERS, Chance, Nominal, Tier
from detectors.window.zone_profile import ZoneProfile

EVENT_OF: dict[Action, Event] = {"acknowledge": Event.ACKNOWLEDGED, "take": Event.TAKEN, "outcome": Event.NOTED}
"""The event of each action of a response."""


class Followed(msgspec.Struct, frozen=True):
    """An open alert and what the tracker remembers of it.

    ``shown``: all members that its revisions have shown.
    ``quiet_since_s``: the first tick without a strong cluster that shares members with it; None while there is one.
    ``last_notice``: the figures at its last notice.
    ``unnoticed``: members that only silent revisions have shown.
    ``strongest``: the highest score so far, if the Bayesian scan made the last revision with a cluster; otherwise None.
    ``in_streams``: the streams that show its members, under the Bayesian scan.
    ``last_score``, ``last_size``: score and number of members of its last cluster, where ``strongest`` has a score.
    """

    alert: Alert
    shown: tuple[str, ...]
    quiet_since_s: int | None
    last_notice: NoticeFigures
    unnoticed: tuple[str, ...] = ()
    strongest: float | None = None
    in_streams: tuple[StreamFigures, ...] = ()
    last_score: float | None = None
    last_size: int = 0


class CoolDown(msgspec.Struct, frozen=True):
    """The cool-down after an alert's end: until ``until_s``, no alert of its stream opens near this point.

    Under the Bayesian scan neither does one of *all*, and after an alert of *all* none of any stream. But a cluster
    opens all the same if its score is above ``strongest``, the highest score of the alert that ended. Otherwise a weak
    alert would hide a real hot spot.
    """

    stream: Stream
    longitude: float
    latitude: float
    until_s: int
    strongest: float | None = None


class NoSuchAlert(ValueError):
    """The alert of a response is not open. Nothing was changed."""


class TrackerState(msgspec.Struct, frozen=True):
    """What the tracker remembers between scans.

    ``reconfigured``: the streams that have not been scanned since the settings changed.
    """

    followed: tuple[Followed, ...] = ()
    cool_downs: tuple[CoolDown, ...] = ()
    reconfigured: tuple[Stream, ...] = ()


class Tracker:
    """Matches the clusters of each scan to the open alerts, stream by stream.

    Under the Bayesian scan an alert follows the stream that shows it best: it continues as a cluster of another stream
    if this is stronger than the alert ever was, if it is stronger than the alert's last cluster and has new members, or
    if the alert's own stream no longer shows it.

    ``is_reconfigured``: whether ``state`` was made under other settings or locations.
    ``chance``: how rare scores are, from the calibration if there is one.
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
        self._open_at = self._chance.score_of(Tier.WATCH)
        self._followed = {followed.alert.id: followed for followed in state.followed}
        self._cool_downs = list(state.cool_downs)
        self._reconfigured = {*state.reconfigured}
        self._scanned: Mapping[Stream, Sequence[Cluster]] = {}
        if is_reconfigured:
            self._reconfigured |= {followed.alert.stream for followed in state.followed}

    def use(self, chance: Chance) -> None:
        """Use another calibration from now on."""
        self._chance = chance
        self._open_at = chance.score_of(Tier.WATCH)

    @property
    def weakest_score(self) -> float:
        """The score below which clusters do not matter: they neither open an alert nor keep one alive."""
        return self._open_at - self._settings.ease_below

    @property
    def state(self) -> TrackerState:
        """Everything that a tracker needs to continue from here."""
        followed, cool_downs = tuple(self._followed.values()), tuple(self._cool_downs)
        return TrackerState(followed, cool_downs, tuple(sorted(self._reconfigured)))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The open alerts, oldest first."""
        return tuple(followed.alert for followed in self._followed.values())

    def see(self, scanned: Mapping[Stream, Sequence[Cluster]]) -> None:
        """Note the clusters of all streams that a tick scans, before its updates."""
        self._scanned = scanned if self._settings.is_bayesian else {}
        for id_, each in self._followed.items():
            known = each.in_streams if self._settings.is_bayesian else ()
            in_streams = streams_of(known, each.shown, self._scanned)
            self._followed[id_] = msgspec.structs.replace(each, in_streams=in_streams)

    def update(
        self,
        stream: Stream,
        tick_s: int,
        clusters: Sequence[Cluster],
        standing: set[str],
        is_silent: bool = False,
        look_back: Callable[[Figures], ZoneProfile] = lambda _: ZoneProfile(),
    ) -> list[Alert]:
        """Return the new revisions after a scan of a stream.

        ``clusters``: those with a score of :attr:`weakest_score` or more, best first.
        ``standing``: the members of open alerts that are still in the window.
        ``is_silent``: whether the feed is silent; while it is, no quiet time passes.
        ``look_back``: returns the profile of a zone. It is called only for new revisions.
        """
        self._cool_downs = [each for each in self._cool_downs if each.until_s > tick_s]
        is_alone = not self._settings.is_bayesian
        known = [each for each in self._followed.values() if each.alert.stream == stream or not is_alone]
        kin = Kinship.between([_known(each, stream) for each in known], clusters)
        changes = []
        for followed in known:
            if followed.alert.stream != stream and followed.alert.id not in kin.cluster_of.keys() | kin.merged_into:
                continue
            change = self._follow(followed, stream, kin, tick_s, standing, is_silent, look_back)
            if change is not None:
                changes.append(change)
        for cluster, split_from in kin.new:
            if cluster.figures.trigger_score >= self._open_at and not self._is_cooling(stream, cluster.figures):
                changes.append(self._open(stream, tick_s, cluster, split_from, look_back))
        self._reconfigured.discard(stream)
        return changes

    def respond(self, response: Response, tick_s: int) -> Alert | None:
        """Return the revision after a response; None if the response changes nothing. The revision has no notice.

        Raises:
            NoSuchAlert: The alert is not open.
        """
        followed = self._followed.get(response.alert)
        if followed is None:
            raise NoSuchAlert(f"{response.alert}: must be the id of an open alert")
        alert = followed.alert
        responses = alert.responses.after(response)
        if responses is alert.responses:
            return None
        state, reason = step(alert.state, EVENT_OF[response.action])
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
        self,
        stream: Stream,
        tick_s: int,
        cluster: Cluster,
        split_from: str,
        look_back: Callable[[Figures], ZoneProfile],
    ) -> Alert:
        figures = cluster.figures
        tier = self._tier(figures) or Tier.WATCH
        in_streams = streams_of((), cluster.members, self._scanned)
        now = self._notice_figures(figures, tick_s)
        alert = Alert(
            id=alert_id(self._area, stream, tick_s, figures.centre, cluster.members),
            revision=1,
            area=self._area,
            stream=stream,
            state=AlertState.OPEN,
            tier=tier,
            reason=Reason.OPENED,
            notice=notice(AlertState.OPEN, False, True, now, None, self._settings.repeats),
            opened_s=tick_s,
            alerted_s=tick_s if _reaches(tier, Tier.ALERT) else None,
            tick_s=tick_s,
            ended_s=None,
            split_from=split_from,
            merged_into="",
            figures=figures,
            members=cluster.members,
            new_members=cluster.members,
            zone_profile=look_back(figures),
            also_in=_others(in_streams, stream),
        )
        strongest = self._stronger(None, figures)
        last = self._last(cluster)
        self._followed[alert.id] = Followed(alert, alert.members, None, now, (), strongest, in_streams, *last)
        return alert

    def _follow(
        self,
        followed: Followed,
        stream: Stream,
        kin: Kinship,
        tick_s: int,
        standing: set[str],
        is_silent: bool,
        look_back: Callable[[Figures], ZoneProfile],
    ) -> Alert | None:
        alert = followed.alert
        cluster, merged_into = kin.cluster_of.get(alert.id), kin.merged_into.get(alert.id, "")
        event, quiet_since_s = self._event(followed, stream, cluster, tick_s, standing, is_silent)
        if merged_into and event in (Event.FELL, Event.LAPSED, Event.HELD):
            event = Event.MERGED
        state, reason = step(alert.state, event)
        tier = alert.tier
        if event is Event.ROSE and cluster is not None:
            tier = self._tier(cluster.figures) or tier
        last_notice, unnoticed = followed.last_notice, followed.unnoticed
        in_streams = followed.in_streams
        if cluster is not None:
            in_streams = streams_of(in_streams, (*followed.shown, *cluster.members), self._scanned)
        if reason:
            figures = alert.figures if cluster is None else cluster.figures
            new_members = () if cluster is None else _new_members(followed, cluster)
            unnoticed = _union(unnoticed, new_members)
            has_news = (cluster is not None and not {*unnoticed}.isdisjoint(cluster.members)) or event is Event.MOVED
            now = self._notice_figures(figures, tick_s)
            is_muted = bool(alert.responses.acknowledged_by)
            given = notice(state, event is Event.ROSE, has_news, now, last_notice, self._settings.repeats, is_muted)
            alert = msgspec.structs.replace(
                alert,
                revision=alert.revision + 1,
                stream=alert.stream if cluster is None else stream,
                state=state,
                tier=tier,
                reason=reason,
                notice=given,
                alerted_s=tick_s if alert.alerted_s is None and _reaches(tier, Tier.ALERT) else alert.alerted_s,
                tick_s=tick_s,
                ended_s=tick_s if state in TERMINAL else None,
                merged_into=merged_into if event is Event.MERGED else "",
                figures=figures,
                members=alert.members if cluster is None else cluster.members,
                new_members=new_members,
                zone_profile=alert.zone_profile if cluster is None else look_back(figures),
                also_in=_others(in_streams, alert.stream if cluster is None else stream),
            )
            if given:
                last_notice, unnoticed = now, ()
        strongest, last_score, last_size = followed.strongest, followed.last_score, followed.last_size
        if cluster is not None and (reason or self._has_scored(followed)):
            strongest = self._stronger(strongest, cluster.figures)
            last_score, last_size = self._last(cluster)
        if state in TERMINAL:
            del self._followed[alert.id]
            if event is not Event.MERGED:  # after a merger the other alert watches the zone
                until_s = tick_s + round(self._settings.cool_down_h * 3600)
                at = alert.figures.longitude, alert.figures.latitude
                self._cool_downs.append(CoolDown(alert.stream, *at, until_s, strongest))
        else:
            shown = _union(followed.shown, alert.members)
            self._followed[alert.id] = Followed(
                alert, shown, quiet_since_s, last_notice, unnoticed, strongest, in_streams, last_score, last_size
            )
        return alert if reason else None

    def _has_scored(self, followed: Followed) -> bool:
        """Return whether the area's statistic made the alert's figures."""
        return self._settings.is_bayesian is (followed.strongest is not None)

    def _stronger(self, known: float | None, figures: Figures) -> float | None:
        """Return the higher of two scores, where one matters."""
        if not self._settings.is_bayesian:
            return None
        return figures.score if known is None else max(known, figures.score)

    def _last(self, cluster: Cluster) -> tuple[float | None, int]:
        """Return the score and the number of members of a cluster, where they matter."""
        return (cluster.figures.score, len(cluster.members)) if self._settings.is_bayesian else (None, 0)

    def _tier(self, figures: Figures) -> Tier | None:
        return self._chance.tier(figures.trigger_score)

    def _notice_figures(self, figures: Figures, tick_s: int) -> NoticeFigures:
        return NoticeFigures(tick_s, self._tier(figures), figures.observed, figures.expected, figures.locations)

    def _event(
        self,
        followed: Followed,
        stream: Stream,
        cluster: Cluster | None,
        tick_s: int,
        standing: set[str],
        is_silent: bool,
    ) -> tuple[Event, int | None]:
        """Return the event of a scan for an open alert, and the tick since which the alert is quiet."""
        alert, quiet_since_s = followed.alert, followed.quiet_since_s
        if cluster is not None:
            tier, has_grown = self._tier(cluster.figures), bool(_new_members(followed, cluster))
            # A tier rises because something happened, never because the statistic or the calibration changed.
            is_same_calibration = alert.figures.calibration == cluster.figures.calibration
            is_same_measure = is_same_calibration and self._has_scored(followed)
            if tier is not None and not _reaches(alert.tier, tier) and (has_grown or is_same_measure):
                return Event.ROSE, None
            if has_grown:
                return Event.GREW, None
            if alert.stream != stream:
                return Event.TURNED, None
            if _has_moved(alert, cluster):
                return Event.MOVED, None
            is_muted = bool(alert.responses.acknowledged_by)
            is_reminder = is_due(tick_s, followed.last_notice, self._settings.repeats, is_muted)
            return (Event.DUE if is_reminder else Event.HELD), None
        is_elsewhere = bool(_others(followed.in_streams, alert.stream))
        if is_elsewhere and quiet_since_s is None:
            return Event.HELD, tick_s  # the next scan of another stream can take it over
        is_empty = sum(member in standing for member in alert.members) < self._settings.min_cases
        if is_empty and not is_elsewhere:
            return (Event.EXCLUDED if alert.stream in self._reconfigured else Event.EMPTIED), quiet_since_s
        if quiet_since_s is None or is_silent:
            return Event.FELL, tick_s
        has_lapsed = tick_s - quiet_since_s >= self._settings.end_after_h * 3600
        is_easing = alert.state is AlertState.EASING
        return (Event.LAPSED if has_lapsed and is_easing else Event.FELL), quiet_since_s

    def _is_cooling(self, stream: Stream, figures: Figures) -> bool:
        mine = [each for each in self._cool_downs if each.stream == stream]
        if self._settings.is_bayesian:
            kin = [each for each in self._cool_downs if each.stream == stream or Stream.ALL in (each.stream, stream)]
            mine = [each for each in kin if each.strongest is None or each.strongest >= figures.score]
        if not mine:
            return False
        here = to_sphere(np.array([figures.longitude]), np.array([figures.latitude]))
        there = to_sphere(np.array([each.longitude for each in mine]), np.array([each.latitude for each in mine]))
        return bool((np.linalg.norm(there - here, axis=1) <= self._settings.cool_down_m).any())


def _known(followed: Followed, stream: Stream) -> Known:
    """Return an open alert as a scan of a stream meets it."""
    alert = followed.alert
    if alert.stream == stream or followed.quiet_since_s is not None:
        return Known(alert.id, followed.shown, alert.stream == stream)
    if followed.strongest is None or followed.last_score is None:
        return Known(alert.id, followed.shown, False, math.inf, math.inf, len(followed.shown))
    return Known(alert.id, followed.shown, False, followed.strongest, followed.last_score, followed.last_size)


def _others(in_streams: Sequence[StreamFigures], stream: Stream) -> tuple[StreamFigures, ...]:
    return tuple(each for each in in_streams if each.stream != stream)


def _new_members(followed: Followed, cluster: Cluster) -> tuple[str, ...]:
    return tuple(sorted(set(cluster.members) - set(followed.shown)))


def _has_moved(alert: Alert, cluster: Cluster) -> bool:
    """Return whether a cluster has members of the last revision but none of its locations."""
    is_elsewhere = {*alert.figures.locations}.isdisjoint(cluster.figures.locations)
    return is_elsewhere and not {*alert.members}.isdisjoint(cluster.members)


def _union(some: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({*some, *others}))


def _reaches(tier: Tier, wanted: Tier) -> bool:
    return TIERS.index(tier) >= TIERS.index(wanted)
