"""A partition that is rebuilt from a real broker goes on as if it had never moved."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import threading
from contextlib import closing
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.errors import ProducerFencedError

from streams.area_log.last_records import last_records
from streams.area_log.records import LogError
from streams.areas.area import Area
from streams.areas.configured import configured_areas
from streams.brokers.broker import Broker
from streams.brokers.connection import admin_arguments, consumer_arguments, is_passing
from streams.brokers.reading import FIRST_STEP, Cancelled, StalledError
from streams.calibration.calibration_file import places_hash
from streams.configuration.kafka import Topic
from streams.messages import scan
from streams.messages.incident import decode
from streams.messages.records import partition_of
from streams.messages.scan import Ids, PartitionRecord, ScanRecord, decode_scan
from streams.worker.consumer import DONE
from streams.worker.engine.outgoing import Outgoing, OutgoingRecord
from streams.worker.engine.publisher import FencedError, Publisher, RefusedError
from streams.worker.engine.rebuild import Restored, as_calibrated, rebuild
from streams.worker.engine.standing_checks import RebuildError
from tests.integration.conftest import NewSite
from tests.integration.worker_process import (
    BEGIN,
    Site,
    WorkerProcess,
    areas_of_one_partition,
    incidents,
    raw_of,
    tick,
    until,
)
from tests.streams.area_log.recorded import calibration

END = BEGIN + timedelta(days=13)
SLOWER_THAN_SESSION = 3
MAX_BYTES = 65_536


class CountingConsumer(KafkaConsumer):  # type: ignore[misc]
    """A consumer that counts the records it returns."""

    records = 0

    def poll(self, *args: Any, **kwargs: Any) -> Any:
        polled = super().poll(*args, **kwargs)
        self.records += sum(map(len, polled.values()))
        return polled


@pytest.mark.parametrize("seed", range(3))
def test_the_last_records_are_found_at_once_however_far_back_they_lie(new_site: NewSite, seed: int) -> None:
    """Some areas write only at the very start, others all the time; aborted transactions do not count."""
    site = new_site()
    site.produce([*incidents("leeds", 32, 1), tick("leeds", END)])
    template = decode_scan(site.expected()[1]["leeds"][-1])
    topic, own_key = site.kafka.topic("scans"), scan.partition_key(0)
    chance = random.Random(seed)
    areas = [f"area-{number}" for number in range(6)]
    lasts: dict[str, ScanRecord] = {}
    offsets: dict[str, int] = {}
    last_own, own_offset = PartitionRecord(), -1
    publisher = Publisher(site.kafka, 0)
    for number in range(200):
        chosen = areas if number == 0 else chance.choices(areas[2:], [1, 10, 100, 400], k=chance.randrange(1, 20))
        records = {area: msgspec.structs.replace(template, area=area, tick_s=number) for area in chosen}
        messages = [OutgoingRecord(topic, area.encode(), scan.encode(record)) for area, record in records.items()]
        if chance.random() < 0.3 and number:
            publisher._producer.begin_transaction()
            for each in messages:
                publisher._producer.send(each.topic, b"aborted", key=each.key, partition=0)
            publisher._producer.abort_transaction()
            continue
        last_own = PartitionRecord(next_offset=number, scans=dict(offsets), previous=own_offset)
        written = publisher.commit([*messages, OutgoingRecord(topic, own_key, scan.encode(last_own))])
        lasts.update(records)
        offsets.update(zip(records, written, strict=False))
        own_offset = written[-1]
    publisher.close()
    wanted = threading.Event()
    with closing(CountingConsumer(**consumer_arguments(site.kafka))) as consumer:
        found = last_records(consumer, site.kafka, 0, {*areas[1:], "never written"}, wanted)
        assert found.scans == {area: lasts[area] for area in areas[1:]}
        assert found.own == msgspec.structs.replace(last_own, scans=offsets, previous=own_offset)
        assert consumer.records < 10 * FIRST_STEP
        assert last_records(consumer, site.kafka, 1, set(areas), wanted).scans == {}


def test_the_last_records_are_found_where_one_transaction_is_longer_than_a_step(new_site: NewSite) -> None:
    site = new_site()
    site.produce([*incidents("leeds", 32, 1), tick("leeds", END)])
    template = decode_scan(site.expected()[1]["leeds"][-1])
    topic = site.kafka.topic("scans")
    own = PartitionRecord()
    with closing(Publisher(site.kafka, 0)) as publisher:
        for transaction in (["leeds", "york"], ["leeds", *["york"] * 3 * FIRST_STEP]):
            records = [msgspec.structs.replace(template, area=each, tick_s=n) for n, each in enumerate(transaction)]
            messages = [OutgoingRecord(topic, each.area.encode(), scan.encode(each)) for each in records]
            offsets = publisher.commit([*messages, OutgoingRecord(topic, scan.partition_key(0), scan.encode(own))])
            lasts = {each.area: each for each in records}
            own = PartitionRecord(scans={"leeds": offsets[0], "york": offsets[-2]}, previous=offsets[-1])
    with closing(CountingConsumer(**consumer_arguments(site.kafka))) as consumer:
        assert last_records(consumer, site.kafka, 0, {"leeds", "york"}, threading.Event()) == (own, lasts)


def write_scans(site: Site, home: int, scans: list[bytes]) -> None:
    """Write scan records, as a worker that has come this far."""
    publisher = Publisher(site.kafka, home)
    publisher.commit(
        [OutgoingRecord(site.kafka.topic("scans"), decode_scan(value).area.encode(), value) for value in scans]
    )
    publisher.close()


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        (PartitionRecord(scans={"leeds": 500}), "lacks offset 500, the last record of area leeds"),
        (PartitionRecord(previous=900), "names a record at offset 900; the topic was created again"),
    ],
)
def test_scan_records_that_are_missing_are_named(new_site: NewSite, own: PartitionRecord, problem: str) -> None:
    site = new_site()
    home = partition_of(b"leeds", 2)
    with closing(Publisher(site.kafka, home)) as publisher:
        publisher.commit([OutgoingRecord(site.kafka.topic("scans"), scan.partition_key(home), scan.encode(own))])
    with (
        closing(KafkaConsumer(**consumer_arguments(site.kafka))) as consumer,
        pytest.raises(LogError, match=problem),
    ):
        last_records(consumer, site.kafka, home, {"leeds"}, threading.Event())


def go_on(site: Site, restored: Restored, areas: dict[str, Area]) -> dict[str, list[bytes]]:
    """The scan records of the rest of the log."""
    written: dict[str, list[bytes]] = {area: [] for area in areas}
    last = dict(restored.last)
    raw: dict[str, list[tuple[int, scan.Raw]]] = {area: [] for area in areas}
    for record in site.read("incidents"):
        area, entry = decode(record.key, record.value, record.headers, record.partition, 2, areas, 65_536)
        assert area is not None
        monitor = restored.monitors[area]
        if record.offset < monitor.expected_next:
            continue
        raw[area].append((record.offset, raw_of(record)))
        for closed in monitor.put(entry, record.offset, record.timestamp // 1000):
            of_tick = [pair for offset, pair in raw[area] if offset < closed.next_offset]
            raw[area] = [each for each in raw[area] if each[0] >= closed.next_offset]
            done = scan.scan_record(area, areas[area].ids, closed, last.get(area), of_tick)
            last[area] = done
            written[area].append(scan.encode(done))
    return written


def test_a_rebuilt_partition_goes_on_as_if_it_had_never_stopped(new_site: NewSite) -> None:
    """Byte for byte, with two areas whose last records lie far apart; one has none at first."""
    first, second = areas_of_one_partition(2, 2)
    home = partition_of(first.encode(), 2)
    site = new_site(first, second)
    one, two = incidents(first, 96, 1), incidents(second, 96, 2)
    site.produce([*one[:40], *two[:40], *one[40:], tick(first, END), *two[40:], tick(second, END)])
    _, scans = site.expected()
    areas = configured_areas(site.configuration.areas)
    written: dict[str, int] = {first: 0, second: 0}
    for cuts in ((7, 0), (120, 3), (121, 250), (len(scans[first]), 251)):
        for area, cut in zip((first, second), cuts, strict=True):
            if cut > written[area]:
                write_scans(site, home, scans[area][written[area] : cut])
                written[area] = cut
        restored = rebuild(site.kafka, areas, home, threading.Event(), MAX_BYTES)
        assert go_on(site, restored, areas) == {area: scans[area][written[area] :] for area in areas}
        assert restored.unwritten == list(areas.values())  # the topic settings is empty here


def test_a_partition_without_areas_is_rebuilt_to_nothing(new_site: NewSite) -> None:
    site = new_site("leeds")
    away = 1 - partition_of(b"leeds", 2)
    restored = rebuild(site.kafka, configured_areas(site.configuration.areas), away, threading.Event(), MAX_BYTES)
    assert (restored.monitors, restored.own.next_offset) == ({}, 0)


def test_a_log_that_ends_before_what_is_on_record_is_refused(new_site: NewSite) -> None:
    site = new_site("leeds")
    home = partition_of(b"leeds", 2)
    site.produce([*incidents("leeds", 32, 1), tick("leeds", END)])
    value = decode_scan(site.expected()[1]["leeds"][-1])
    beyond = scan.encode(
        scan.ScanRecord(
            **{name: getattr(value, name) for name in value.__struct_fields__} | {"next_offsets": {"incidents": 1000}}
        )
    )
    write_scans(site, home, [beyond])
    with pytest.raises(RebuildError, match="ends at offset 33, but is on record up to 1000"):
        rebuild(site.kafka, configured_areas(site.configuration.areas), home, threading.Event(), MAX_BYTES)


def test_a_read_that_the_client_breaks_off_is_tried_again(new_site: NewSite) -> None:
    class BreakingOff(Broker):
        def read(self, *_: object) -> None:
            raise asyncio.CancelledError

    site = new_site("leeds")
    home = partition_of(b"leeds", 2)
    site.produce([*incidents("leeds", 32, 1), tick("leeds", END)])
    write_scans(site, home, site.expected()[1]["leeds"][-1:])
    areas = configured_areas(site.configuration.areas)
    problem = f"incidents, partition {home}: cannot be read .*'partition {home} rebuilt'.* check that Kafka"
    with pytest.raises(StalledError, match=problem) as raised:
        rebuild(site.kafka, areas, home, threading.Event(), MAX_BYTES, BreakingOff())
    assert is_passing(raised.value)


def test_responses_that_are_fewer_than_took_effect_are_refused(new_site: NewSite) -> None:
    site = new_site("leeds")
    home = partition_of(b"leeds", 2)
    publisher = Publisher(site.kafka, home)
    publisher.commit(
        [Outgoing(site.kafka, site.configuration.worker, home).partition(PartitionRecord(next_response=5))]
    )
    publisher.close()
    with pytest.raises(RebuildError, match=r"responses, partition \d: ends before offset 5"):
        rebuild(site.kafka, configured_areas(site.configuration.areas), home, threading.Event(), MAX_BYTES)


@pytest.mark.parametrize("topic", ["incidents", "responses"])
def test_an_input_topic_that_was_created_again_is_refused_however_long_it_is(new_site: NewSite, topic: Topic) -> None:
    site = new_site("leeds")
    home, name = partition_of(b"leeds", 2), site.kafka.topic(topic)
    publisher = Publisher(site.kafka, home)
    messages = Outgoing(site.kafka, site.configuration.worker, home)
    areas = configured_areas(site.configuration.areas)

    def record(own: PartitionRecord) -> None:
        publisher.commit([messages.partition(own)])

    def rebuilt() -> Restored:
        return rebuild(site.kafka, areas, home, threading.Event(), MAX_BYTES)

    record(PartitionRecord())
    restored = rebuilt()
    assert restored.is_changed and set(restored.own.topics) == {"incidents", "responses"}
    record(msgspec.structs.replace(restored.own, previous=0))
    assert not rebuilt().is_changed
    record(msgspec.structs.replace(restored.own, previous=2, topics={topic: "of-the-former-topic"}))
    with pytest.raises(RebuildError, match=f"^{name}, partition {home}: is not .*; the topic was created again"):
        rebuilt()
    publisher.close()


def test_a_missing_topic_ends_a_rebuild_with_one_line(new_site: NewSite) -> None:
    site = new_site("leeds")
    alerts = site.kafka.topic("alerts")
    with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
        admin.delete_topics([alerts])
        until(lambda: alerts not in admin.list_topics(), "it is deleted")
    with pytest.raises(RebuildError, match=f"^no topic {alerts}; `hotspots topics` creates it$"):
        rebuild(site.kafka, configured_areas(site.configuration.areas), 0, threading.Event(), MAX_BYTES)


def test_a_rebuild_that_is_no_longer_wanted_ends(new_site: NewSite) -> None:
    site = new_site("leeds")
    site.produce([*incidents("leeds", 32, 1), tick("leeds", END)])
    home = partition_of(b"leeds", 2)
    write_scans(site, home, site.expected()[1]["leeds"])
    lost = threading.Event()
    lost.set()
    with pytest.raises(Cancelled):
        rebuild(site.kafka, configured_areas(site.configuration.areas), home, lost, MAX_BYTES)


def test_opening_a_partition_fences_its_former_owner(new_site: NewSite) -> None:
    """The old owner is in a transaction: it is not seen, and the old owner can write no more."""
    site = new_site()
    topic = site.kafka.topic("scans")
    old = Publisher(site.kafka, 0)
    old.commit([OutgoingRecord(topic, b"a", b"old")])
    old._producer.begin_transaction()
    old._producer.send(topic, b"half", key=b"a", partition=0)
    old._producer.flush()
    new = Publisher(site.kafka, 0)
    new.commit([OutgoingRecord(topic, b"a", b"new")])
    with pytest.raises(ProducerFencedError):
        old._producer.commit_transaction()
    for _ in range(2):
        with pytest.raises(FencedError, match="partition 0 was taken over by another worker"):
            old.commit([OutgoingRecord(topic, b"a", b"too late")])
    new.commit([OutgoingRecord(topic, b"a", b"newer")])
    assert [record.value for record in site.read("scans")] == [b"old", b"new", b"newer"]
    old.close()
    new.close()


def test_a_transaction_that_the_broker_refuses_is_seen_in_no_part(new_site: NewSite) -> None:
    site = new_site()
    topic = site.kafka.topic("rejected")
    publisher = Publisher(site.kafka, 0)
    too_large = random.Random(1).randbytes(3_000_000)
    with pytest.raises(RefusedError, match=r"partition 0: .*MessageSizeTooLarge"):
        publisher.commit([OutgoingRecord(topic, b"a", b"small"), OutgoingRecord(topic, b"a", too_large)])
    assert site.read("rejected") == []
    publisher.close()
    again = Publisher(site.kafka, 0)
    again.commit([OutgoingRecord(topic, b"a", b"small")])
    assert [record.value for record in site.read("rejected")] == [b"small"]
    again.close()


def test_a_partition_is_rebuilt_in_place_after_an_aborted_transaction(new_site: NewSite) -> None:
    site = new_site("leeds")
    with WorkerProcess(site, "abort:3") as worker:
        for start in range(0, 96, 12):
            site.produce(incidents("leeds", 96, 1)[start : start + 12])
            worker.until(lambda start=start: site.covered()["leeds"] >= start + 11, "on record")  # type: ignore[misc]
        site.produce([tick("leeds", END)])
        worker.until(lambda: sum(site.committed().values()) == 97, "every record is acknowledged")
        assert worker.stop() == DONE
    assert sum("transaction aborted, rebuilding" in line["message"] for line in worker.logged()) == 1
    site.check()


def test_a_rebuild_three_times_as_long_as_the_session_causes_no_second_rebalance(new_site: NewSite) -> None:
    site = new_site("leeds", worker={"inbox_records": 20})
    slow_s = site.configuration.worker.session_timeout_s * SLOWER_THAN_SESSION
    site.produce([*incidents("leeds", 96, 1), tick("leeds", END)])
    with WorkerProcess(site, f"slow-rebuild:{slow_s}") as worker:
        worker.until(site.is_covered, "every record is on record")
        worker.until(lambda: sum(site.committed().values()) == 97, "every record is acknowledged")
        assert worker.stop() == DONE
    assigned = [line for line in worker.logged() if line["message"].startswith("assigned partitions")]
    assert len(assigned) == 1
    site.check()


def test_an_area_uses_the_later_calibration_and_then_the_one_that_no_scan_record_names_yet(
    new_site: NewSite,
) -> None:
    """Two are on record; the last scan record names the first."""
    site = new_site(clock="wall")
    plain = configured_areas(site.configuration.areas)["leeds"]
    assert plain.nightly is not None
    home = partition_of(b"leeds", 2)
    first, second, other = (
        msgspec.structs.replace(
            calibration(lowest),
            settings=plain.settings,
            places=places_hash(plain.locations),
            made_at=BEGIN + timedelta(days=day),
        )
        for lowest, day in ((3.0, 1), (4.0, 2), (5.0, 3))
    )
    publisher = Publisher(site.kafka, home)
    messages = Outgoing(site.kafka, site.configuration.worker, home)
    for made in (first, second):
        publisher.commit(messages.settings(dataclasses.replace(plain, calibration_file=made)))
    publisher.close()
    closed = plain.monitor().repeat([], int(BEGIN.timestamp()))
    record = scan.scan_record("leeds", Ids(plain.configuration_id, first.id), closed, None, [])

    def calibrated(area: Area) -> tuple[str, str]:
        found, coming = as_calibrated(area, record, site.kafka, MAX_BYTES)
        return found.ids.calibration, coming.id if coming else ""

    assert calibrated(plain) == (first.id, second.id)
    assert calibrated(dataclasses.replace(plain, calibration_file=other)) == (other.id, "")
    assert calibrated(dataclasses.replace(plain, calibration_file=second)) == (second.id, "")
    assert calibrated(dataclasses.replace(plain, nightly=plain.nightly._replace(budget=7.0))) == ("", "")
    assert calibrated(dataclasses.replace(plain, nightly=None)) == ("", "")
