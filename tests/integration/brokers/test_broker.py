"""What the shell relies on in a broker: each test holds Kafka and the simulated broker to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import pytest
import tenacity
from kafka import TopicPartition
from kafka.errors import KafkaError

from streams.brokers.clients import Reader
from streams.brokers.connection import UNCOMMITTED, is_passing
from streams.brokers.reading import records_between
from streams.configuration.kafka import KafkaSettings
from tests.simulation.sites import KafkaSite, SimulatedSite, Site


@pytest.fixture(params=["kafka", "simulated"])
def site(request: pytest.FixtureRequest, topic_prefix: str) -> Site:
    if request.param == "simulated":
        return SimulatedSite(KafkaSettings(topic_prefix=topic_prefix))
    kafka = request.getfixturevalue("kafka")
    return KafkaSite(KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix))


class Bench:
    """A site with two topics of one partition."""

    def __init__(self, site: Site) -> None:
        self.site = site
        prefix = site.settings.topic_prefix
        self.alerts, self.scans = (TopicPartition(f"{prefix}{name}", 0) for name in ("alerts", "scans"))
        for at in (self.alerts, self.scans):
            site.create(at.topic)

    def writer(self) -> Writing:
        return Writing(self)

    def values(self, at: TopicPartition, **arguments: object) -> list[tuple[int, bytes]]:
        with closing(self.site.broker.reader(self.site.settings, **arguments)) as reader:
            reader.assign([at])
            end = reader.end_offsets([at])[at]
            return [(each.offset, each.value) for each in records_between(reader, at, 0, end, threading.Event())]

    def end(self, at: TopicPartition, **arguments: object) -> int:
        with closing(self.site.broker.reader(self.site.settings, **arguments)) as reader:
            return reader.end_offsets([at])[at]


class Writing:
    """A writer of transactions."""

    def __init__(self, bench: Bench) -> None:
        prefix = bench.site.settings.topic_prefix
        self.producer = bench.site.broker.writer(bench.site.settings, f"{prefix}writer")
        self.producer.init_transactions()

    def send(self, at: TopicPartition, value: bytes) -> None:
        self.producer.send(at.topic, value, key=b"leeds", partition=0)
        self.producer.flush(timeout=25)

    def write(self, *values: tuple[TopicPartition, bytes]) -> list[int]:
        self.producer.begin_transaction()
        sent = [self.producer.send(at.topic, value, key=b"leeds", partition=0) for at, value in values]
        self.producer.flush(timeout=25)
        self.producer.commit_transaction()
        return [each.get(timeout=0).offset for each in sent]

    def close(self) -> None:
        self.producer.close(timeout=1)


@pytest.fixture
def on(site: Site) -> Callable[[Callable[[Bench], object]], None]:
    """Runs a test's work on the site, until what it returns is true."""

    def run(work: Callable[[Bench], object]) -> None:
        bench = Bench(site)
        site.run(lambda: work(bench))

    return run


On = Callable[[Callable[[Bench], object]], None]


def test_a_transaction_is_visible_when_it_is_committed_and_its_mark_takes_an_offset(on: On) -> None:
    def work(bench: Bench) -> None:
        with closing(bench.writer()) as writer:
            assert writer.write((bench.alerts, b"a"), (bench.scans, b"1"), (bench.alerts, b"b")) == [0, 0, 1]
            assert writer.write((bench.alerts, b"c")) == [3]
            assert bench.values(bench.alerts) == [(0, b"a"), (1, b"b"), (3, b"c")]
            assert bench.values(bench.scans) == [(0, b"1")]
            assert (bench.end(bench.alerts), bench.end(bench.scans)) == (5, 2)

    on(work)


def test_an_open_transaction_is_seen_by_readers_of_everything_alone(on: On) -> None:
    def work(bench: Bench) -> None:
        with closing(bench.writer()) as writer:
            writer.write((bench.alerts, b"a"))
            writer.producer.begin_transaction()
            writer.send(bench.alerts, b"b")
            assert bench.values(bench.alerts) == [(0, b"a")]
            assert (bench.end(bench.alerts), bench.end(bench.alerts, **UNCOMMITTED)) == (2, 3)
            assert bench.values(bench.alerts, **UNCOMMITTED) == [(0, b"a"), (2, b"b")]
            writer.producer.abort_transaction()
            assert bench.values(bench.alerts) == [(0, b"a")]
            assert bench.values(bench.alerts, **UNCOMMITTED) == [(0, b"a"), (2, b"b")]
            assert writer.write((bench.alerts, b"c")) == [4]
            assert bench.values(bench.alerts) == [(0, b"a"), (4, b"c")]

    on(work)


def test_a_new_writer_ends_what_the_former_left_and_fences_it(on: On) -> None:
    def work(bench: Bench) -> None:
        former = bench.writer()
        former.write((bench.scans, b"0"))
        former.producer.begin_transaction()
        former.send(bench.scans, b"1")
        with closing(bench.writer()) as writer:
            assert bench.end(bench.scans) == 4  # the mark of the abort
            with pytest.raises(KafkaError):
                former.producer.commit_transaction()
            with pytest.raises(KafkaError):
                former.producer.abort_transaction()
            writer.write((bench.scans, b"2"))
        former.close()
        assert bench.values(bench.scans) == [(0, b"0"), (4, b"2")]

    on(work)


def test_a_fenced_writer_cannot_begin_again(on: On) -> None:
    def work(bench: Bench) -> None:
        former = bench.writer()
        with closing(bench.writer()) as writer:
            with pytest.raises(KafkaError):
                former.write((bench.scans, b"1"))
            assert writer.write((bench.scans, b"2")) is not None
        former.close()
        assert [value for _, value in bench.values(bench.scans)] == [b"2"]

    on(work)


def test_a_reader_goes_on_after_marks_and_begins_again_where_it_is_told(on: On) -> None:
    def work(bench: Bench) -> None:
        with closing(bench.writer()) as writer, closing(bench.site.broker.reader(bench.site.settings)) as reader:
            for number in range(5):
                writer.write((bench.alerts, b"%d" % number))
            reader.assign([bench.alerts])
            assert reader.position(bench.alerts) == 0
            assert read(reader, bench.alerts, 5) == [b"0", b"1", b"2", b"3", b"4"]
            reader.seek(bench.alerts, 5)
            assert read(reader, bench.alerts, 2) == [b"3", b"4"]
            reader.seek(bench.alerts, 1000)  # out of range: it begins at the beginning
            assert read(reader, bench.alerts, 5) == [b"0", b"1", b"2", b"3", b"4"]
            assert reader.partitions_for_topic(bench.alerts.topic) == {0}
            assert bench.alerts.topic in reader.topics()
            assert reader.assignment() == {bench.alerts}

    on(work)


def read(reader: Reader, at: TopicPartition, number: int) -> list[bytes]:
    """Read so many records, and notice more."""
    values: list[bytes] = []
    while len(values) < number:
        values += [each.value for each in reader.poll(timeout_ms=5000).get(at, ())]
    return values + [each.value for each in reader.poll(timeout_ms=100).get(at, ())]


def test_a_stretch_of_the_log_is_read_whether_committed_or_not(on: On) -> None:
    def work(bench: Bench) -> None:
        with closing(bench.writer()) as writer:
            writer.write((bench.alerts, b"a"))
            writer.producer.begin_transaction()
            writer.send(bench.alerts, b"b")
            writer.producer.abort_transaction()
            writer.write((bench.alerts, b"c"))
        taken: list[tuple[int, bytes]] = []
        read_ = bench.site.broker.read
        take = lambda record: taken.append((record.offset, record.value))  # noqa: E731
        read_(bench.site.settings, bench.alerts, 1, 5, take, threading.Event())
        assert taken == [(2, b"b"), (4, b"c")]

    on(work)


def test_each_topic_has_an_identity_of_its_own(on: On) -> None:
    def work(bench: Bench) -> None:
        first, second, again = (
            bench.site.broker.topic_id(bench.site.settings, each.topic)
            for each in (bench.alerts, bench.scans, bench.alerts)
        )
        assert first and second
        assert first == again != second

    on(work)


def test_a_group_that_nobody_has_joined_has_assigned_nothing(on: On) -> None:
    def work(bench: Bench) -> None:
        until_answered = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_passing),
            wait=tenacity.wait_fixed(0.5),
            stop=tenacity.stop_after_delay(30),
        )  # a new broker first makes the topic of the groups
        why = until_answered(bench.site.broker.unassigned, bench.site.settings, "nobody", bench.alerts.topic, 0)
        assert why is not None
        assert f"has not assigned partition 0 of {bench.alerts.topic} to nobody" in why

    on(work)
