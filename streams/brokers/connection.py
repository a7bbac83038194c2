"""Kafka, in one place: what each client library is told, and the topics with their retention."""

from __future__ import annotations

from typing import Any

from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from streams.configuration.kafka import KafkaSettings
from streams.configuration.tls import tls

BOOTSTRAP_MS = 10_000
"""So long a command looks for Kafka."""
UNCOMMITTED = {"isolation_level": "read_uncommitted"}
"""How incidents are read, since Faust's consumer reads them so: every reader must see the same log."""
MAX_REQUEST_BYTES = 16 * 2**20
"""Largest record of ours: a scan record holds all open alerts, one of settings all places."""


def error_text(error: KafkaError, kafka: KafkaSettings) -> str:
    """An error of Kafka's in words; if it cannot be reached, with what to do."""
    if isinstance(error, KafkaTimeoutError | KafkaConnectionError):
        return f"no Kafka at {kafka.bootstrap} ({error}): start it, or set kafka.bootstrap"
    return str(error)


def consumer_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """For a plain ``kafka.KafkaConsumer``: no group, committed records only, from the earliest when in doubt."""
    return _connection(kafka) | {
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "allow_auto_create_topics": False,
    }


def producer_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """For a ``kafka.KafkaProducer`` whose records are acknowledged by every replica in sync."""
    return _connection(kafka) | {
        "acks": "all",
        "compression_type": "gzip",
        "allow_auto_create_topics": False,
    }


def log_reader_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """For an ``aiokafka.AIOKafkaConsumer`` without a group: every record, uncommitted ones too."""
    return _connection(kafka) | UNCOMMITTED | {"enable_auto_commit": False, "auto_offset_reset": "earliest"}


def group_reader_arguments(kafka: KafkaSettings, group: str) -> dict[str, Any]:
    """For an ``aiokafka.AIOKafkaConsumer`` of a group: committed records only, positions committed by hand."""
    return _connection(kafka) | {
        "group_id": group,
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "session_timeout_ms": 10_000,
    }


def letter_writer_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """For an ``aiokafka.AIOKafkaProducer`` whose records are acknowledged by every replica in sync."""
    return _connection(kafka) | {"acks": "all", "enable_idempotence": True}


def admin_arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """For a ``kafka.KafkaAdminClient``, which gives up after ``BOOTSTRAP_MS``."""
    return _connection(kafka) | {"bootstrap_timeout_ms": BOOTSTRAP_MS}


def _connection(kafka: KafkaSettings) -> dict[str, Any]:
    """How kafka-python finds its brokers and logs in."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": kafka.bootstrap.split(","),
        "security_protocol": kafka.security_protocol,
    }
    if context := tls(kafka):
        arguments["ssl_context"] = context
    if kafka.security_protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = kafka.sasl_mechanism
        arguments["sasl_plain_username"] = kafka.sasl_username
        arguments["sasl_plain_password"] = kafka.password.reveal()
    return arguments
