"""Settings of Kafka: addresses, login, topics."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.configuration.reader import matching
from streams.configuration.sources import Secret

_ADDRESS = r"[^\s,@]+:([1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5])"

TopicName = Annotated[str, matching("[A-Za-z0-9._-]{1,200}", "1 to 200 of A-Z a-z 0-9 . _ -")]
TopicPrefix = Annotated[str, matching("[A-Za-z0-9._-]{0,40}", "at most 40 of A-Z a-z 0-9 . _ -")]
Addresses = Annotated[str, matching(f"{_ADDRESS}(,{_ADDRESS})*", "host:port, several joined by commas")]
Topic = Literal["incidents", "alerts", "responses", "scans", "settings", "rejected", "undelivered"]


class TopicNames(msgspec.Struct, frozen=True, kw_only=True):
    """Names of the topics without the prefix. :meth:`KafkaSettings.topic` returns the whole name."""

    incidents: TopicName = "incidents"
    alerts: TopicName = "alerts"
    responses: TopicName = "responses"
    scans: TopicName = "scans"
    settings: TopicName = "settings"
    rejected: TopicName = "incidents.rejected"
    undelivered: TopicName = "alerts.undelivered"

    def __post_init__(self) -> None:
        names = msgspec.structs.asdict(self)
        for key, name in names.items():
            if list(names.values()).count(name) > 1:
                raise ValueError(f"{key} = {name!r}: must differ from the other topics")


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Kafka's addresses, login and topics."""

    bootstrap: Addresses = "127.0.0.1:9092"
    group: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] = "hotspots"
    partitions: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8
    replication: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    topic_prefix: TopicPrefix = ""
    topics: TopicNames = TopicNames()
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str = ""
    password: Secret = Secret()
    password_file: str = ""
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""

    def __post_init__(self) -> None:
        if self.security_protocol.startswith("SASL"):
            if not self.sasl_username:
                raise ValueError(f"sasl_username: missing; security_protocol = {self.security_protocol!r} needs it")
            if not self.password:
                raise ValueError("password: missing; set HOTSPOTS_KAFKA__PASSWORD or kafka.password_file")

    def topic(self, topic: Topic) -> str:
        """Return the name of a topic, prefix included."""
        name: str = getattr(self.topics, topic)
        return self.topic_prefix + name
