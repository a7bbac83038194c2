"""Records of one event in the Monitor, and what follows a change of the statistic."""

from __future__ import annotations

from datetime import timedelta

import h3
import msgspec
import pytest

from detectors.alerts.alert import Alert
from detectors.area.incident import Incident
from detectors.area.settings import SameEventSettings, Stream
from detectors.monitor import Monitor
from detectors.restoring import Restoring
from detectors.results import ClosedTick
from detectors.window.admission import TickMark
from tests.detectors.monitor_driver import BEGIN, CENTRE, LOCATIONS, area, incident

QUIET_H = 30


def fed(monitor: Monitor, incidents: list[Incident]) -> list[ClosedTick]:
    ticks = [tick for offset, each in enumerate(incidents) for tick in monitor.put(each, offset, 0)]
    return [*ticks, *monitor.flush()]


def background(hours: int) -> list[Incident]:
    """An incident every hour, far from those of a burst, at the corners of the area in turn."""
    corners = [h3.cell_to_latlng(cell) for cell in h3.grid_ring(CENTRE, 4)[::4]]
    made = []
    for hour in range(hours):
        latitude, longitude = corners[hour % len(corners)]
        plain = incident(1000 + hour, BEGIN + timedelta(hours=hour, minutes=30))
        made.append(msgspec.structs.replace(plain, latitude=latitude, longitude=longitude))
    return made


def burst(number: int, hour: int, apart: timedelta) -> list[Incident]:
    return [incident(each, BEGIN + timedelta(hours=hour) + each * apart) for each in range(number)]


@pytest.mark.parametrize("statistic", ["permutation", "bayes"])
def test_ten_calls_about_one_fight_are_no_hot_spot_and_ten_fights_are_one(statistic: str) -> None:
    settings = msgspec.structs.replace(area("watermark", statistic), same_event=SameEventSettings(), min_cases=4)
    for apart, is_found in ((timedelta(seconds=50), False), (timedelta(minutes=11), True)):
        ticks = fed(Monitor("leeds", settings, LOCATIONS), [*background(44), *burst(10, 44, apart)])
        assert any("i0" in alert.members for tick in ticks for alert in tick.changes) == is_found


def test_an_alert_counts_events_and_lists_every_record() -> None:
    settings = msgspec.structs.replace(area("watermark", "bayes"), same_event=SameEventSettings())
    calls = [
        msgspec.structs.replace(each, id=f"{each.id}-{call}", occurred_at=each.occurred_at + timedelta(minutes=call))
        for each in burst(5, 44, timedelta(minutes=11))
        for call in range(2)
        if each.occurred_at
    ]
    *_, last = (
        alert
        for tick in fed(Monitor("leeds", settings, LOCATIONS), [*background(44), *calls])
        for alert in tick.changes
    )
    assert (last.figures.observed, last.figures.records, len(last.members)) == (5, 10, 10)
    assert last.figures.breakdown == {"violence": 5}
    assert last.figures.reported == 5
    assert not last.figures.artefacts.found or "duplicate_calls" not in {
        each.kind.value for each in last.figures.artefacts.found
    }


def test_incidents_of_several_categories_are_one_hot_spot_and_one_alert() -> None:
    words = ("drugs", "property", "disorder", "drugs", "disorder", "property")
    mixed = [
        msgspec.structs.replace(each, category=word)
        for each, word in zip(burst(6, 44, timedelta(minutes=11)), words, strict=True)
    ]
    settings = msgspec.structs.replace(area("watermark", "bayes"), min_cases=4)
    monitor = Monitor("leeds", settings, LOCATIONS)
    ticks = fed(monitor, [*background(44), *mixed])
    (alert,) = [each for each in monitor.alerts if "i0" in each.members]
    assert alert.stream == Stream.ALL
    assert alert.figures.breakdown == {"drugs": 2, "property": 2, "disorder": 2}
    assert {change.id for tick in ticks for change in tick.changes if "i0" in change.members} == {alert.id}
    # Only thefts follow: now the thefts alone stand out more than all together.
    thefts = [msgspec.structs.replace(each, category="property") for each in burst(14, 44, timedelta(minutes=11))[6:]]
    for offset, each in enumerate(thefts, monitor.expected_next):
        monitor.put(each, offset, 0)
    monitor.flush()
    (later,) = [each for each in monitor.alerts if not {*each.members}.isdisjoint(one.id for one in [*mixed, *thefts])]
    assert (later.id, later.stream, set(later.figures.breakdown)) == (alert.id, Stream.PROPERTY, {"property"})


def test_an_alert_that_another_statistic_opened_ends_after_its_quiet_time() -> None:
    feed = [*background(44), *burst(6, 44, timedelta(minutes=11))]
    before = Monitor("leeds", area("watermark", "permutation"), LOCATIONS)
    fed(before, feed)
    of_all = {alert.id for alert in before.alerts if alert.stream == Stream.ALL}
    assert of_all
    last = before._last
    assert last is not None
    restoring = Restoring("leeds", area("watermark", "bayes"), LOCATIONS, checkpoint=last, is_reconfigured=True)
    for offset, each in enumerate(feed):
        restoring.refill(each, offset, 0)
    after = restoring.monitor()
    assert after.alerts == before.alerts
    later = int((BEGIN + timedelta(hours=44 + QUIET_H)).timestamp())
    changes: list[Alert] = [
        alert for tick in after.put(TickMark(later), len(feed), 0) + after.flush() for alert in tick.changes
    ]
    ended = {alert.id for alert in changes if alert.ended_s is not None}
    assert of_all <= ended
    assert not of_all.intersection(alert.id for alert in after.alerts)
