"""The arguments of every Kafka client: addresses, encryption, isolation, acknowledgement, age of metadata."""

from __future__ import annotations

from typing import Any

import aiokafka.errors
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, UnknownTopicOrPartitionError

from streams.configuration.kafka import KafkaSettings
from streams.configuration.tls import tls

BOOTSTRAP_MS = 10_000
"""Time limit for a command to find Kafka, in milliseconds."""
ANSWER_MS = 15_000
"""Time limit for Kafka's answer to a long-running process, in milliseconds: a dead connection is given up after it.
With the clients' own 30 to 40 s, alerts would wait for a minute. A member of a group waits for up to 13 s."""
METADATA_MS = 20_000
"""Time after which a client asks again which topics and partitions there are, in milliseconds. With the clients' own 5
minutes, a topic that is deleted and created again stays unread for 5 minutes."""
UNCOMMITTED: dict[str, object] = {"isolation_level": "read_uncommitted"}
"""Isolation for `incidents`: every reader must see the same log as Faust's consumer."""
MAX_REQUEST_BYTES = 16 * 2**20
"""Size limit for a record, in bytes: a scan record holds all open alerts, a settings record all locations."""


def error_text(error: KafkaError, kafka: KafkaSettings) -> str:
    """Return the text of a Kafka error. If Kafka cannot be reached, the text also states what to do."""
    if isinstance(error, KafkaTimeoutError | KafkaConnectionError):
        return f"no Kafka at {kafka.bootstrap} ({error}): start it, or set kafka.bootstrap"
    return str(error)


def is_passing(error: BaseException) -> bool:
    """Return whether an error of either client is temporary: it ends once Kafka can be reached and works."""
    missing = UnknownTopicOrPartitionError, aiokafka.errors.UnknownTopicOrPartitionError
    is_retriable = getattr(error, "retriable", False) or isinstance(error, aiokafka.errors.KafkaTimeoutError)
    return is_retriable and not isinstance(error, missing)


def consumer_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments of a ``kafka.KafkaConsumer`` without a group: committed records, by default from the earliest."""
    return _connection(kafka) | {
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
    }


def producer_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments of a ``kafka.KafkaProducer`` whose records every replica in sync acknowledges."""
    return _connection(kafka) | {
        "acks": "all",
        "compression_type": "gzip",
        "allow_auto_create_topics": False,
    }


def log_reader_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments of an ``aiokafka.AIOKafkaConsumer`` without a group: all records, committed or not."""
    return _connection(kafka) | UNCOMMITTED | {"enable_auto_commit": False, "auto_offset_reset": "earliest"}


def group_reader_arguments(kafka: KafkaSettings, group: str) -> dict[str, Any]:
    """Arguments of an ``aiokafka.AIOKafkaConsumer`` in a group: committed records, positions committed by hand."""
    return _connection(kafka) | {
        "group_id": group,
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "session_timeout_ms": 10_000,
        "request_timeout_ms": ANSWER_MS,
    }


def group_admin_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments of an ``aiokafka.admin.AIOKafkaAdminClient``."""
    return _connection(kafka) | {"request_timeout_ms": ANSWER_MS}


def news_reader_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments of an ``aiokafka.AIOKafkaConsumer`` without a group: only new, committed records."""
    committed_news = {"isolation_level": "read_committed", "auto_offset_reset": "latest"}
    return _connection(kafka) | committed_news | {"enable_auto_commit": False, "request_timeout_ms": ANSWER_MS}


def undelivered_writer_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments of an ``aiokafka.AIOKafkaProducer`` whose records every replica in sync acknowledges."""
    return _connection(kafka) | {"acks": "all", "enable_idempotence": True, "request_timeout_ms": ANSWER_MS}


def admin_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Arguments of a ``kafka.KafkaAdminClient``, which gives up after ``BOOTSTRAP_MS``."""
    return _connection(kafka) | {"bootstrap_timeout_ms": BOOTSTRAP_MS}


def _connection(kafka: KafkaSettings) -> dict[str, Any]:
    """Addresses, encryption, login and age of metadata, as kafka-python and aiokafka take them."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap.split(","),
        "metadata_max_age_ms": METADATA_MS,
        "security_protocol": kafka.security_protocol,
    }
    if context := tls(kafka):
        arguments["ssl_context"] = context
    if kafka.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = kafka.sasl_mechanism
        arguments["sasl_plain_username"] = kafka.sasl_username
        arguments["sasl_plain_password"] = kafka.password.reveal()
    return arguments
