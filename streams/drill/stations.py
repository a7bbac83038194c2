"""The stations of a drill: scan records, alerts, Redis, the console and the webhook's group."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import NamedTuple

import httpx
import msgspec
from kafka import KafkaConsumer, TopicPartition
from redis import Redis

from detectors.alerts.lifecycle import TERMINAL
from streams.area_log.last_records import last_records
from streams.brokers.connection import consumer_arguments
from streams.brokers.reading import records_between
from streams.configuration.kafka import Topic
from streams.configuration.load import Configuration
from streams.messages.alert import AlertProperties, read_alert
from streams.messages.records import partition_of
from streams.messages.scan import ScanRecord
from streams.process.strict_json import StrictDecoder
from streams.redis_copy.keys import area_key, redis_arguments

HTTP_S = 10.0
"""Time limit for an HTTP response of the console, in seconds."""


class Published(NamedTuple):
    """A revision of an alert, and its offset in the topic ``alerts``."""

    offset: int
    alert: AlertProperties


class SignIn(NamedTuple):
    """A user of the console's password file."""

    user: str
    password: str


class _Letter(msgspec.Struct):
    reason: str
    detail: str


class _Shown(msgspec.Struct):
    status: str


class _Properties(msgspec.Struct):
    properties: _Shown


class _Page(msgspec.Struct):
    alert: _Properties


class _Session(msgspec.Struct):
    csrf: str


_letter = StrictDecoder[_Letter](_Letter)
_page = StrictDecoder[_Page](_Page)
_session = StrictDecoder[_Session](_Session)


class Stations:
    """Everything that a drill in an area reads from now on. Close it at the end.

    Raises:
        KafkaError: Kafka cannot be reached, or a topic is missing.
    """

    def __init__(self, configuration: Configuration, area: str, console_url: str, sign_in: SignIn | None) -> None:
        self._configuration, self._area = configuration, area
        self._console_url, self._sign_in = console_url, sign_in
        self._kafka = configuration.kafka
        self._partition = partition_of(area.encode(), self._kafka.partitions)
        self._never = threading.Event()
        self._consumer = KafkaConsumer(**consumer_arguments(self._kafka))
        self._begins = {topic: self._end(topic) for topic in ("alerts", "undelivered")}

    def close(self) -> None:
        """Close the connection to Kafka."""
        self._consumer.close()

    def scan(self) -> ScanRecord | None:
        """Return the area's last scan record."""
        standing = last_records(self._consumer, self._kafka, self._partition, (self._area,), self._never)
        return standing.scans.get(self._area)

    def published(self, ids: frozenset[str]) -> list[Published]:
        """Return the alerts that have over half of the incidents with these ids, each in its latest revision.

        There can be one for each stream. They are in the order in which they were first published.
        """
        found: dict[str, Published] = {}
        for offset, key, value in self._news("alerts"):
            if key == self._area.encode():
                with suppress(msgspec.DecodeError):  # a stranger's record
                    alert = read_alert(value).data.properties
                    if len(ids.intersection(alert.members)) > len(ids) / 2:
                        found[alert.id] = Published(offset, alert)
        return list(found.values())

    def redis_has(self, published: Published) -> bool:
        """Return whether Redis holds this revision or a later one."""
        settings = self._configuration.redis
        with closing(Redis.from_url(settings.url, **redis_arguments(settings))) as redis:
            revision = redis.hget(area_key(self._area, f"alert:{published.alert.id}"), "revision")
        return revision is not None and revision.isdigit() and int(revision) >= published.alert.revision

    def page_status(self, published: Published) -> str | None:
        """Return the status with which the console shows the alert; None if it does not show the alert yet.

        Raises:
            httpx.HTTPError: The console cannot be reached, or refuses.
            msgspec.DecodeError: The server at that address is not a console.
        """
        settings = self._configuration.console
        headers = {settings.proxy_user_header: "drill"} if settings.login == "proxy" else {}
        with httpx.Client(base_url=self._console_url, timeout=HTTP_S, headers=headers) as client:
            if self._sign_in is not None:
                session = _session.decode(client.get("/api/session").raise_for_status().content)
                given = {"X-CSRF-Token": session.csrf}
                client.post("/api/login", json=self._sign_in._asdict(), headers=given).raise_for_status()
            response = client.get(f"/api/alerts/{published.alert.id}")
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            return _page.decode(response.raise_for_status().content).alert.properties.status

    def webhook_passed(self, published: Published) -> bool:
        """Return whether the webhook's group is past the revision."""
        group = {"group_id": self._configuration.webhook_group}
        with closing(KafkaConsumer(**consumer_arguments(self._kafka), **group)) as consumer:
            committed = consumer.committed(TopicPartition(self._kafka.topic("alerts"), self._partition))
        return committed is not None and committed > published.offset

    def undelivered(self) -> str | None:
        """Return why the webhook gave up a revision of the area; None if it gave up no revision."""
        for _, key, value in self._news("undelivered"):
            if key == self._area.encode():
                with suppress(msgspec.DecodeError):  # a stranger's record
                    letter = _letter.decode(value)
                    return f"{letter.reason}: {letter.detail}"
        return None

    def has_ended(self, ids: frozenset[str]) -> bool:
        """Return whether the alerts with these incidents have ended."""
        return all(each.alert.state in TERMINAL for each in self.published(ids))

    def _news(self, topic: Topic) -> Iterator[tuple[int, bytes | None, bytes | None]]:
        for log, begin in self._begins[topic].items():
            self._consumer.assign([log])
            end = self._consumer.end_offsets([log])[log]
            for record in records_between(self._consumer, log, begin, end, self._never):
                yield record.offset, record.key, record.value

    def _end(self, topic: Topic) -> dict[TopicPartition, int]:
        name = self._kafka.topic(topic)
        partitions = [self._partition] if topic == "alerts" else sorted(self._consumer.partitions_for_topic(name) or ())
        ends: dict[TopicPartition, int] = self._consumer.end_offsets(
            [TopicPartition(name, each) for each in partitions]
        )
        return ends
