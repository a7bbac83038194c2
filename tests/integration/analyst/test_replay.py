from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.consumer.fetcher import ConsumerRecord

from detectors.area.incident import Incident
from detectors.area.settings import AreaSettings
from detectors.simulation import City
from detectors.window.admission import TickMark
from streams.analyst.incident_file import IncidentFile, Row
from streams.analyst.replay import FeedError, feed
from streams.brokers.connection import admin_arguments, consumer_arguments
from streams.brokers.topics import create_topics
from streams.configuration.kafka import KafkaSettings
from streams.local_services.kafka import LocalKafka
from streams.messages.incident import decode
from tests.conftest import GivenKafka

PARTITIONS = 3
SETTINGS = AreaSettings(clock="watermark")
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def settings(kafka: LocalKafka | GivenKafka, topic_prefix: str) -> KafkaSettings:
    """A broker with topics of this test's own."""
    settings = KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix, partitions=PARTITIONS)
    create_topics(settings, 91)
    return settings


class Received(msgspec.Struct, frozen=True):
    partition: int
    arrival_s: float
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]

    @classmethod
    def of(cls, found: ConsumerRecord) -> Received:
        return cls(found.partition, found.timestamp / 1000, found.key, found.value, tuple(found.headers))

    @property
    def record(self) -> tuple[bytes, bytes, tuple[tuple[str, bytes], ...]]:
        return self.key, self.value, self.headers


def received(settings: KafkaSettings) -> list[Received]:
    """Everything in the topic, partition by partition."""
    return list(itertools.chain.from_iterable(_partitions(settings)))


def _partitions(settings: KafkaSettings) -> Iterator[list[Received]]:
    with closing(KafkaConsumer(**consumer_arguments(settings))) as consumer:
        for number in range(PARTITIONS):
            partition = TopicPartition(settings.topic("incidents"), number)
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            end = consumer.end_offsets([partition])[partition]
            records: list[Received] = []
            while consumer.position(partition) < end:
                for batch in consumer.poll(timeout_ms=1_000).values():
                    records += [Received.of(each) for each in batch]
            yield records


def row(number: int, time_s: float, area: str = "leeds") -> Row:
    return Row(area.encode(), msgspec.json.encode({"id": f"i{number}"}), time_s)


def tick(time_s: float, area: str = "leeds") -> Row:
    return Row(area.encode(), b"", time_s, (("tick", datetime.fromtimestamp(time_s, UTC).isoformat().encode()),))


def city_rows(seed: int, area: str, days: int) -> list[Row]:
    city = City(seed, places=300)
    simulated = city.simulate(START, START + timedelta(days=days))
    return list(IncidentFile.from_incidents(simulated.incidents).rows(area, SETTINGS))


def test_records_arrive_whole_in_order_and_where_the_areas_live(settings: KafkaSettings) -> None:
    areas = {area: city_rows(seed, area, 60) for seed, area in enumerate(("leeds", "york", "hull", "bradford"))}
    mixed = [row for rows in itertools.zip_longest(*areas.values()) for row in rows if row is not None]
    counted: list[Row] = []
    assert feed(mixed, settings, on_sent=counted.append) == len(mixed)
    assert counted == mixed
    records = received(settings)
    assert len(records) == len(mixed)
    for area, rows in areas.items():
        own = [record for record in records if record.key == area.encode()]
        assert [record.record for record in own] == [(row.key, row.value, row.headers) for row in rows]
        entries = []
        for record in own:
            # A record anywhere but in the partition of its area is refused by decoding.
            found, entry = decode(*record.record, record.partition, PARTITIONS, areas.keys(), 65_536)
            assert found == area
            entries.append(entry)
        assert all(isinstance(entry, Incident) for entry in entries[:-1])
        assert isinstance(entries[-1], TickMark)


class Watch:
    """Notes when each row was sent; index 0 is when the watch was started, tick rows count as well."""

    def __init__(self) -> None:
        self.times_s = [time.monotonic()]

    def __call__(self, row: Row) -> None:
        self.times_s.append(time.monotonic())

    def between(self, first: int, last: int) -> float:
        return self.times_s[last] - self.times_s[first]


# A loaded machine is late, but never early.
LATE_S = 5.0


def test_recorded_time_passes_at_the_stated_speed(settings: KafkaSettings) -> None:
    watch = Watch()
    feed([row(number, 600.0 * number) for number in range(5)], settings, speed=2_000, on_sent=watch)
    for number in range(5):
        assert 0.3 * number <= watch.between(0, 1 + number) < 0.3 * number + LATE_S


def test_history_is_not_held_back_and_live_rows_are(settings: KafkaSettings) -> None:
    history = [row(number, 3_600.0 * number) for number in range(100)]
    live = [row(number, 3_600.0 * 100 + 10.0 * (number - 99)) for number in range(100, 104)]
    watch = Watch()
    feed([*history, *live], settings, speed=20, live_from_s=3_600.0 * 100, on_sent=watch)
    assert watch.between(0, 100) < LATE_S  # 18,000 s at this speed
    for number in range(1, 5):
        assert 0.5 * number <= watch.between(100, 100 + number) < 0.5 * number + LATE_S
    # They do not wait for each other in the producer: 1.5 s lie between them.
    arrived = {msgspec.json.decode(each.value)["id"]: each.arrival_s for each in received(settings)}
    assert arrived["i103"] - arrived["i100"] > 0.5


def test_nobody_waits_through_a_gap_that_a_tick_announces(settings: KafkaSettings) -> None:
    months = 90 * 86_400.0
    watch = Watch()
    feed([row(0, 0.0), tick(months), row(1, months + 10)], settings, speed=20, on_sent=watch)
    assert 0.5 <= watch.between(1, 3) < 0.5 + LATE_S


def refused(rows: Sequence[Row], settings: KafkaSettings) -> str:
    with pytest.raises(FeedError) as raised:
        feed(rows, settings)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_record_that_the_broker_refuses_is_an_error(kafka: LocalKafka | GivenKafka, topic_prefix: str) -> None:
    settings = KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix)
    topic = settings.topic("incidents")
    # Made so: what is altered in a topic that is there already, its log minds some time later.
    small = {"num_partitions": PARTITIONS, "replication_factor": 1, "configs": {"max.message.bytes": "2000"}}
    with closing(KafkaAdminClient(**admin_arguments(settings))) as admin:
        admin.create_topics({topic: small}, wait_for_metadata=True)
    incompressible = random.Random(1).randbytes(20_000)
    message = refused([row(1, 0.0), Row(b"leeds", incompressible, 0.0)], settings)
    assert message.startswith(f"topic {topic} at {settings.bootstrap}: a record was not accepted (")


def test_a_record_that_is_larger_than_any_broker_takes_is_an_error(settings: KafkaSettings) -> None:
    message = refused([row(1, 0.0), Row(b"leeds", bytes(2_000_000), 0.0)], settings)
    assert "a record was not accepted (" in message
    assert [msgspec.json.decode(record.value)["id"] for record in received(settings)] == ["i1"]


def test_a_missing_topic_is_named(
    kafka: LocalKafka | GivenKafka, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.analyst.replay.BLOCKED_MS", 500)
    settings = KafkaSettings(bootstrap=kafka.bootstrap, topic_prefix=topic_prefix)
    assert refused([row(1, 0.0)], settings).startswith(
        f"no topic {topic_prefix}incidents at {kafka.bootstrap}; `hotspots topics` creates it"
    )
