"""A worker takes over the log of the former version: same alerts; audit and reproduce find no difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from detectors.alerts.lifecycle import TERMINAL
from detectors.results import ClosedTick, ResponseResult
from streams.area_log.audit import audit
from streams.area_log.chain import Link, inputs, links
from streams.area_log.contents import export
from streams.area_log.records import AreaLog
from streams.area_log.reproduce import reproduce, written
from streams.area_log.sources import ExportedLog, KafkaLog
from streams.messages.alert import read_alert
from streams.messages.records import Rejection
from streams.messages.scan import Raw, decode_partition, encode, scan_record
from streams.worker.consumer import DONE
from tests.conftest import GivenKafka
from tests.integration.worker.former_version.recording import (
    AREAS,
    FILE,
    Recording,
    is_settled,
    send,
    stamp_by,
    standing,
    town,
    write_former,
)
from tests.integration.worker_process import WorkerProcess


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.read(FILE)


def calibration_of(recording: Recording) -> bytes:
    """The calibration file of the former version, as its record in ``settings`` holds it."""
    values = [msgspec.json.decode(each.value, type=dict[str, msgspec.Raw]) for each in recording.of("settings")]
    return next(bytes(value["calibration"]) for value in values if "calibration" in value)


def with_nulls(recording: Recording, area: str) -> list[int]:
    """Indices of the scan records before the stop that hold largest scores under the null."""
    return [index for index, checkpoint in enumerate(checkpoints(recording, area)) if checkpoint["nulls"]]


def checkpoints(recording: Recording, area: str) -> list[dict[str, Any]]:
    """An area's checkpoints before the stop, as the former version wrote them."""
    return [msgspec.json.decode(each.value)["checkpoint"] for each in recording.of("scans", area, until_stop=True)]


def without_state(scans: Iterable[bytes]) -> list[dict[str, Any]]:
    """Scan records without checkpoint and digest: each version has its own format of the checkpoint."""
    return [{k: v for k, v in msgspec.json.decode(each).items() if k not in ("checkpoint", "digest")} for each in scans]


def rejections(values: list[bytes]) -> list[Rejection]:
    """Dead letters in the order of their offsets, without the prefix of topics and the details, which are prose."""
    letters = [msgspec.json.decode(value, type=Rejection) for value in values]
    return sorted(
        (msgspec.structs.replace(each, topic=each.topic.rpartition("-")[2], detail="") for each in letters),
        key=lambda each: (each.topic, each.offset),
    )


def test_the_recording_is_worth_taking_over(recording: Recording) -> None:
    """At the stop both areas have open alerts, some with responses; there are cool-downs and unread inputs."""
    responded, cool_downs = 0, 0
    for area in AREAS:
        former, later = recording.of("alerts", area, until_stop=True), recording.of("alerts", area)
        last = {event.subject: event.data.properties for event in (read_alert(each.value.encode()) for each in former)}
        still_open = [each for each in last.values() if each.state not in TERMINAL]
        assert still_open and len(later) > len(former) + 10
        tracker = checkpoints(recording, area)[-1]["tracker"]
        assert len(tracker["followed"]) == len(still_open)
        responded += sum(each.response is not msgspec.UNSET for each in still_open)
        cool_downs += len(tracker["cool_downs"])
    assert responded and cool_downs
    assert with_nulls(recording, "leeds") and not with_nulls(recording, "york")  # which has a calibration
    assert recording.stop.committed < recording.stop.ends["incidents"]
    own = decode_partition(recording.of("scans", "#0", until_stop=True)[-1].value.encode())
    assert own.next_response == recording.stop.ends["responses"] - 7
    reasons = {each.reason for each in rejections([each.value.encode() for each in recording.of("rejected")])}
    assert reasons == {"malformed_json", "unknown_area", "out_of_area", "bad_response", "no_such_alert"}


def test_a_worker_takes_over_what_the_former_version_wrote(
    recording: Recording, kafka: GivenKafka, topic_prefix: str, tmp_path: Path
) -> None:
    site = town(tmp_path, kafka.bootstrap, topic_prefix, calibration_of(recording))
    write_former(site, recording)
    with WorkerProcess(site) as worker:
        worker.until(lambda: is_settled(site), "what came while no worker ran is on record")
        stamp_by(site, "CreateTime")
        for topic, records in recording.steps():
            send(site, records)
            worker.until(lambda: is_settled(site), f"{topic} up to offset {records[-1].offset} are on record")
        assert worker.stop() == DONE
    by_area: dict[str, list[bytes]] = defaultdict(list)
    for record in site.read("alerts"):
        by_area[record.key.decode()].append(record.value)
    for area in AREAS:
        assert by_area[area] == [each.value.encode() for each in recording.of("alerts", area)]
        scans = [each.value.encode() for each in recording.of("scans", area)]
        assert without_state(site.scans()[area]) == without_state(scans)
        revisions = defaultdict(list)
        for event in map(read_alert, by_area[area]):
            revisions[event.subject].append(event.data.properties.revision)
        assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in revisions.values())
        log = KafkaLog(site.kafka, area, site.configuration.worker.max_record_bytes)
        found, derived = audit(log, lambda: None), reproduce(log, None, lambda: None)
        assert (found.breaks, found.given, found.scans) == ([], 0, len(scans))
        assert (derived.differences, derived.revisions) == ([], len(by_area[area]))
    letters = rejections([record.value for record in site.read("rejected")])
    assert letters == rejections([each.value.encode() for each in recording.of("rejected")])
    own, theirs = standing(site), decode_partition(recording.of("scans", "#0")[-1].value.encode())
    assert (own.next_response, own.rejected) == (theirs.next_response, theirs.rejected)
    assert own.next_offset == theirs.next_offset
    site.close()


@pytest.mark.parametrize("area", AREAS)
def test_an_exported_log_of_the_former_version_holds(recording: Recording, area: str, tmp_path: Path) -> None:
    """Each alert is derived again from the checkpoint before its first revision."""
    export(recording.log(area), tmp_path / area, lambda: None)
    log = ExportedLog(tmp_path / area)
    assert audit(log, lambda: None).breaks == []
    alerts = {read_alert(each.value.encode()).subject for each in recording.of("alerts", area)}
    assert len(alerts) >= 4
    for alert in (None, *alerts):
        assert reproduce(log, alert, lambda: None).differences == []


@pytest.mark.parametrize("area", AREAS)
def test_a_monitor_goes_on_from_any_scan_record_of_the_former_version(recording: Recording, area: str) -> None:
    log = recording.log(area)
    chain = list(links(log, None))
    on_record = [each.value.encode() for each in recording.of("scans", area)]
    events = [each.value.encode() for each in recording.of("alerts", area)]
    stop = len(recording.of("scans", area, until_stop=True)) - 1
    for cut in (stop // 2, *with_nulls(recording, area)[-1:], stop):
        scans, alerts = go_on(log, chain, cut)
        assert without_state(scans) == without_state(on_record[cut + 1 :])
        assert len(alerts) > 10
        assert alerts == events[-len(alerts) :]


def go_on(log: AreaLog, chain: list[Link], cut: int) -> tuple[list[bytes], list[bytes]]:
    """The scan records and alerts that a Monitor makes after a link of a chain, restored there and fed as by a worker.

    A response takes effect once the first record of the next tick is read.
    """
    last = chain[cut].record
    area = written(log, last.ids)
    restoring = area.restoring(last)
    for each in inputs(log, last.lowest_offset):
        if each.record.offset < last.next_offset:
            restoring.refill(each.entry, each.record.offset, each.record.timestamp_ms // 1000)
    monitor = restoring.monitor()
    closed: list[tuple[ClosedTick | ResponseResult, list[Raw]]] = []
    responses: list[Link] = []
    waiting: list[tuple[int, Raw]] = []
    for link in chain[cut + 1 :]:
        if link.response is not None:
            responses.append(link)
            continue
        for each, value in zip(link.inputs, link.raw, strict=True):
            waiting.append((each.record.offset, value))
            for tick in monitor.put(each.entry, each.record.offset, each.record.timestamp_ms // 1000):
                closed.append((tick, [value for offset, value in waiting if offset < tick.next_offset]))
                waiting = [pair for pair in waiting if pair[0] >= tick.next_offset]
        for response in responses if link.inputs else ():
            assert response.response is not None
            result_of_response = monitor.respond(response.response.content, response.response.record.offset)
            assert result_of_response is not None
            closed.append((result_of_response, response.raw))
        responses = [] if link.inputs else responses
    scans: list[bytes] = []
    alerts: list[bytes] = []
    for result, read in closed:
        last = scan_record(area.name, area.ids, result, last, read)
        scans.append(encode(last))
        alerts += map(area.event, result.changes)
    return scans, alerts
