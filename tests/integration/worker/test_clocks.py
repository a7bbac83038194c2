"""Workers and brokers with wrong clocks, on a real broker: no hour is closed early, and areas found ahead go on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

import h3
import pytest
from kafka import KafkaProducer
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.area_log.audit import audit
from streams.area_log.sources import KafkaLog
from streams.brokers.connection import admin_arguments
from streams.messages.scan import ScanRecord, decode_scan
from streams.worker.consumer import DONE
from tests.integration.conftest import NewSite
from tests.integration.worker_process import CENTRE, Row, Site, WorkerProcess, areas_of_one_partition

LEAP_S = 58 * 60
AHEAD_S = 7200
PROMPT_S = 20.0
"""Time limit from an incident to its scan on a busy machine, in seconds."""


def incident(area: str, number: int) -> Row:
    """An incident in the middle of the area that happens now."""
    latitude, longitude = h3.cell_to_latlng(h3.latlng_to_cell(*CENTRE, 10))
    fields = {"id": f"{area}-{number}", "occurred_at": datetime.now(UTC).isoformat(), "category": "drugs"}
    return area, json.dumps(fields | {"longitude": longitude, "latitude": latitude}).encode(), ()


def scans(site: Site, area: str) -> list[ScanRecord]:
    return [decode_scan(value) for value in site.scans().get(area, [])]


def is_scanned(site: Site, area: str) -> Callable[[], bool]:
    """Whether all that is sent is on record in an area."""
    sent = len(site.read("incidents"))
    return lambda: site.covered().get(area, 0) == sent


def state(worker: WorkerProcess, area: str) -> str:
    lines = worker.asked("/metrics")[1].splitlines()
    head = f'hotspots_feed_state{{area="{area}",state="'
    return next(
        (line[len(head) :].partition('"')[0] for line in lines if line.startswith(head) and line.endswith(" 1.0")), ""
    )


def go_on(site: Site, worker: WorkerProcess, areas: list[str], first: int) -> None:
    """Incidents of each area are scanned promptly."""
    for number in range(first, first + 3):
        for area in areas:
            site.produce([incident(area, number)])
            worker.until(is_scanned(site, area), f"incident {number} of {area} is scanned", PROMPT_S)


@pytest.mark.parametrize("ahead_s", [AHEAD_S, -AHEAD_S, 3 * 86_400])
def test_a_worker_with_a_wrong_clock_scans_on_and_says_so(new_site: NewSite, ahead_s: int) -> None:
    areas = areas_of_one_partition(2, 2)
    site = new_site(*areas, clock="wall")
    with WorkerProcess(site, f"clock:{ahead_s}") as worker:
        worker.until(worker.is_ready, "ready")
        go_on(site, worker, areas, 0)
        assert [state(worker, area) for area in areas] == ["clock", "clock"]
        assert worker.stop() == DONE
    for area in areas:
        assert abs(scans(site, area)[-1].tick_s - time.time()) < 60
        assert scans(site, area)[-1].accounts.rejected == 0
    with WorkerProcess(site) as worker:
        worker.until(worker.is_ready, "ready")
        go_on(site, worker, areas, 10)
        assert [state(worker, area) for area in areas] == ["learning", "learning"]
        assert worker.stop() == DONE
    for area in areas:
        assert audit(KafkaLog(site.kafka, area, 65_536), lambda: None).breaks == []


def test_one_arrival_that_is_stamped_ahead_moves_no_clock(new_site: NewSite) -> None:
    """For the test the producer, not the broker, sets the time of one arrival."""
    areas = areas_of_one_partition(2, 2)
    site = new_site(*areas, clock="wall")
    topic = site.kafka.topic("incidents")

    def stamp_by(kind: str) -> None:
        with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
            configs = {"message.timestamp.type": kind}
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=configs)])

    with WorkerProcess(site) as worker:
        worker.until(worker.is_ready, "ready")
        go_on(site, worker, areas, 0)
        stamp_by("CreateTime")
        leapt = incident(areas[0], 50)
        stamp_ms = int((time.time() + LEAP_S) * 1000)
        with closing(KafkaProducer(bootstrap_servers=site.kafka.bootstrap)) as producer:
            producer.send(topic, leapt[1], key=leapt[0].encode(), timestamp_ms=stamp_ms).get(timeout=30)
        assert site.read("incidents")[-1].timestamp == stamp_ms
        stamp_by("LogAppendTime")
        worker.until(is_scanned(site, areas[0]), "it is scanned itself", PROMPT_S)
        assert state(worker, areas[0]) == "clock"
        go_on(site, worker, areas, 60)
        assert worker.stop() == DONE
    for area in areas:
        assert scans(site, area)[-1].tick_s <= time.time()
    with WorkerProcess(site) as worker:
        worker.until(worker.is_ready, "ready")
        go_on(site, worker, areas, 80)
        assert worker.stop() == DONE
    for area in areas:
        assert scans(site, area)[-1].accounts.added == scans(site, area)[-1].accounts.read
        assert audit(KafkaLog(site.kafka, area, 65_536), lambda: None).breaks == []


def test_an_area_that_a_former_version_brought_ahead_goes_on(new_site: NewSite) -> None:
    areas = areas_of_one_partition(2, 2)
    site = new_site(*areas, clock="wall")
    with WorkerProcess(site, f"trusting-clock:{AHEAD_S}") as worker:
        worker.until(worker.is_ready, "ready")
        for area in areas:
            site.produce([incident(area, 0)])
        begun_s = time.time()
        worker.until(
            lambda: all(scans(site, area) and scans(site, area)[-1].tick_s > begun_s + 60 for area in areas),
            "an hour that has not come is closed",
        )
        assert worker.stop() == DONE
    with WorkerProcess(site) as worker:
        worker.until(worker.is_ready, "ready")
        go_on(site, worker, areas, 1)
        assert [state(worker, area) for area in areas] == ["clock", "clock"]
        assert worker.stop() == DONE
    for area in areas:
        closed = [each.tick_s for each in scans(site, area)]
        assert closed == sorted(set(closed))
        assert audit(KafkaLog(site.kafka, area, 65_536), lambda: None).breaks == []
