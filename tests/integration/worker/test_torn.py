"""A torn transaction: a revision in ``alerts`` whose scan record was never written does not count for any reader."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from kafka import KafkaConsumer, TopicPartition

from streams.area_log.coverage import Coverage
from streams.area_log.sources import KafkaLog
from streams.areas.configured import configured_areas
from streams.brokers.connection import consumer_arguments
from streams.messages.records import partition_of
from streams.messages.scan import PartitionRecord, encode, partition_key
from streams.worker.consumer import DONE
from streams.worker.engine.outgoing import OutgoingRecord
from streams.worker.engine.publisher import Publisher
from streams.worker.engine.rebuild import rebuild
from tests.integration.conftest import NewSite
from tests.integration.worker_process import BEGIN, Site, WorkerProcess, incidents, tick

HOME = partition_of(b"leeds", 2)
MAX_BYTES = 65_536


@pytest.fixture
def site(new_site: NewSite) -> Site:
    """A site whose worker has opened alerts, and has ended."""
    site = new_site()
    site.produce([*incidents("leeds", 160, 1), tick("leeds", BEGIN + timedelta(days=13))])
    with WorkerProcess(site) as worker:
        worker.until(site.is_covered, "every record is on record")
        assert worker.stop() == DONE
    return site


def tear(site: Site) -> tuple[bytes, int]:
    """Commit a revision without scan record, as a torn transaction does; return it and its offset."""
    topic = site.kafka.topic("alerts")
    event = site.alerts()[-1]
    torn = event.replace(b'"revision":', b'"revision":9')
    publisher = Publisher(site.kafka, HOME)
    (offset,) = publisher.commit([OutgoingRecord(topic, b"leeds", torn)])
    publisher.close()
    return torn, offset


def test_every_revision_of_a_worker_is_covered(site: Site) -> None:
    coverage = Coverage(site.kafka)
    written = site.read("alerts")
    assert written and all(coverage.covers(each.partition, each.offset) for each in written)
    coverage.close()


def test_a_torn_revision_is_covered_neither_before_nor_after_the_next_scan_record(site: Site) -> None:
    whole = site.alerts()
    torn, offset = tear(site)
    coverage = Coverage(site.kafka)
    assert coverage.covers(HOME, offset) is None
    log = KafkaLog(site.kafka, "leeds", MAX_BYTES)
    assert [each.value for each in log.read("alerts")] == whole
    with WorkerProcess(site) as worker:
        worker.until(lambda: coverage.covers(HOME, offset) is False, "it is known at once that the revision is torn")
        site.produce([tick("leeds", BEGIN + timedelta(days=14))])
        worker.until(site.is_covered, "the next tick is on record")
        said = [each["message"] for each in worker.logged() if "do not count" in each["message"]]
        assert said == [f"{site.kafka.topic('alerts')}, partition {HOME}: no scan record covers the revisions at "
                        f"offsets {offset} to {offset}; they do not count"]  # fmt: skip
        assert worker.stop() == DONE
    assert torn in site.alerts()
    assert coverage.covers(HOME, offset) is False
    log = KafkaLog(site.kafka, "leeds", MAX_BYTES)
    assert [each.value for each in log.read("alerts")] == site.expected()[0]
    coverage.close()


def test_a_rebuild_remembers_torn_revisions_until_the_topic_is_another(site: Site) -> None:
    areas = configured_areas(site.configuration.areas)

    def own() -> tuple[int | None, tuple[tuple[int, int], ...]]:
        restored = rebuild(site.kafka, areas, HOME, threading.Event(), MAX_BYTES)
        return restored.own.next_alert, restored.own.torn

    (_, before) = own()
    _, offset = tear(site)
    assert before == ()
    assert own() == (offset + 1, ((offset, offset + 1),))


def test_a_partition_of_a_former_version_is_covered_as_far_as_it_goes(new_site: NewSite) -> None:
    site = new_site()
    topic = site.kafka.topic("alerts")
    publisher = Publisher(site.kafka, HOME)
    own = OutgoingRecord(site.kafka.topic("scans"), partition_key(HOME), encode(PartitionRecord()))
    offset, _ = publisher.commit([OutgoingRecord(topic, b"leeds", b"{}"), own])
    publisher.close()
    coverage = Coverage(site.kafka)
    assert coverage.covers(HOME, offset) is True
    coverage.close()
    restored = rebuild(site.kafka, configured_areas(site.configuration.areas), HOME, threading.Event(), MAX_BYTES)
    consumer = KafkaConsumer(**consumer_arguments(site.kafka))
    alerts = TopicPartition(topic, HOME)
    assert (restored.own.next_alert, restored.own.torn) == (consumer.end_offsets([alerts])[alerts], ())
    consumer.close()
