"""The scan records decide where a worker reads on, whatever offset the group has committed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.structs import OffsetAndMetadata
from prometheus_client import CollectorRegistry

from streams.brokers.connection import admin_arguments
from streams.configuration.kafka import Topic
from streams.messages.records import Rejection, partition_of
from streams.process.strict_json import StrictDecoder
from streams.worker.background.topic_watch import TopicWatch
from streams.worker.consumer import DONE
from streams.worker.engine.gaps import Gap, Gaps
from streams.worker.engine.partition import Position
from streams.worker.metrics import Metrics
from tests.integration.conftest import NewSite
from tests.integration.worker_process import (
    BEGIN,
    Row,
    Site,
    WorkerProcess,
    areas_of_one_partition,
    incidents,
    until,
)

GARBAGE: Row = ("nobody", b"{", ())


def commit(site: Site, offset: int) -> None:
    """Set the group's committed offset in every partition, as a mirror or an operator does."""
    topic = site.kafka.topic("incidents")
    offsets = {TopicPartition(topic, number): OffsetAndMetadata(offset, "", -1) for number in range(2)}
    with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
        admin.alter_group_offsets(site.kafka.group, offsets)


def forget_group(site: Site) -> None:
    with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
        admin.delete_groups([site.kafka.group])


def to_latest(site: Site) -> None:
    commit(site, len(site.read("incidents")))


def to_middle(site: Site) -> None:
    commit(site, 20)


def to_earliest(site: Site) -> None:
    commit(site, 0)


def beyond_the_end(site: Site) -> None:
    commit(site, 1_000_000)


RESETS = (to_latest, to_middle, to_earliest, beyond_the_end, forget_group)


def rows_of(busy: str, idle: str) -> list[Row]:
    """A busy area, a slow one whose tick stays open for long, and records of no area among theirs."""
    rows = incidents(busy, 300, 1)
    slow = incidents(idle, 32, 2, begin=BEGIN)
    mixed: list[Row] = []
    for index, row in enumerate(rows):
        mixed.append(row)
        if index % 12 == 5 and slow:
            mixed.append(slow.pop(0))
        if index % 50 == 30:
            mixed.append(GARBAGE)
    return mixed


def test_a_group_whose_offsets_were_reset_skips_and_repeats_nothing(new_site: NewSite) -> None:
    busy, idle = areas_of_one_partition(2, 2)
    site = new_site(busy, idle)
    home = partition_of(busy.encode(), 2)
    rows = rows_of(busy, idle)
    size = len(rows) // (len(RESETS) + 1)
    for number, reset in enumerate((None, *RESETS)):
        site.produce(rows[number * size : (number + 1) * size], partition=home)
        if reset is not None:
            reset(site)
        follow(site, reset)
    assert len(site.check()) > 10
    letters = [StrictDecoder[Rejection](Rejection).decode(each.value) for each in site.read("rejected")]
    offsets = [each.offset for each in site.read("incidents") if each.value == b"{"]
    assert [each.offset for each in letters] == offsets


def follow(site: Site, reset: Callable[[Site], None] | None) -> None:
    """Let a worker put on record what there is."""
    right = {area: len(values) for area, values in site.expected()[1].items()}
    with WorkerProcess(site) as worker:
        worker.until(
            lambda: {area: len(values) for area, values in site.scans().items()} == right, f"on record after {reset}"
        )
        assert worker.stop() == DONE


@pytest.mark.parametrize("keep", [False, True])
def test_records_that_retention_removed_unread_are_named(new_site: NewSite, keep: bool) -> None:
    site = new_site()
    rows = incidents("leeds", 160, 1)
    home = partition_of(b"leeds", 2)
    topic = site.kafka.topic("incidents")
    site.produce(rows[:60])
    with WorkerProcess(site) as worker:
        worker.until(lambda: site.covered()["leeds"] == 59, "the first are on record")
        assert worker.stop() == DONE
    site.produce(rows[60:120])
    with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
        admin.delete_records({TopicPartition(topic, home): 59 if keep else 100})
    with WorkerProcess(site) as worker:
        worker.until(lambda: site.covered()["leeds"] == 119, "the rest is on record")
        worker.until(worker.is_ready, "ready")
        shown = worker.asked("/metrics")[1]
        assert f'hotspots_missed_records_total{{topic="{topic}"}} {0.0 if keep else 41.0}' in shown
        assert worker.stop() == DONE
    line = f"{topic}, partition {home}: offsets 59 to 99 are lost: retention removed them before they were read"
    assert [each["message"] for each in worker.logged()].count(line) == (0 if keep else 1)


def test_a_gap_is_lost_where_the_log_begins_later_or_still_has_its_records(
    new_site: NewSite, caplog: pytest.LogCaptureFixture
) -> None:
    site = new_site()
    site.produce(incidents("leeds", 32, 1))
    home, topic = partition_of(b"leeds", 2), site.kafka.topic("incidents")
    with closing(KafkaAdminClient(**admin_arguments(site.kafka))) as admin:
        admin.delete_records({TopicPartition(topic, home): 5})
    gaps = Gaps()
    gaps.put_back([Gap(home, 2, 8, False), Gap(home, 6, 8, True), Gap(home, 10, 20, False)])
    registry = CollectorRegistry()
    left: list[str] = []
    watch = TopicWatch(
        site.kafka,
        7,
        Metrics(registry),
        gaps=gaps,
        positions=lambda: [Position("incidents", home, 32, "")],
        leave=left.append,
    )
    watch.start()
    labels = {"topic": topic}
    until(lambda: registry.get_sample_value("hotspots_missed_records_total", labels) == 3 + 2, "both are counted")
    watch.stop()
    assert left == []
    where = f"{topic}, partition {home}: offsets"
    assert [record.getMessage() for record in caplog.records if "lost" in record.getMessage()] == [
        f"{where} 6 to 7 are lost: the client passed over them",
        f"{where} 2 to 4 are lost: retention removed them before they were read",
    ]


@pytest.mark.parametrize("topic", ["incidents", "responses"])
def test_a_worker_leaves_when_an_input_topic_is_created_again(new_site: NewSite, topic: Topic) -> None:
    """Also when it has as many records as the former one; nobody would miss a response before."""
    site = new_site()
    home, name = partition_of(b"leeds", 2), site.kafka.topic(topic)
    left: list[str] = []
    position = Position(topic, home, 0, "of-the-former-topic")
    watch = TopicWatch(
        site.kafka, 7, Metrics(CollectorRegistry()), gaps=Gaps(), positions=lambda: [position], leave=left.append
    )
    watch.start()
    until(lambda: bool(left), "it is noticed")
    position = Position(topic, home, 5, "")
    until(lambda: "read up to 5" in left[-1], "a shorter one is noticed as well", 30)
    watch.stop()
    assert {line.partition(";")[0] for line in left} == {
        f"{name}, partition {home}: is not the topic that was read before",
        f"{name}, partition {home}: ends at offset 0, but was read up to 5",
    }
