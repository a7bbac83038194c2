"""TLS contexts from the files that the configuration names."""

from __future__ import annotations

import ssl

from streams.configuration.kafka import KafkaSettings
from streams.configuration.reader import ConfigurationError
from streams.configuration.services import RedisSettings, WebhookSettings


def tls(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """Return the TLS context of connections to Kafka; None if they are not encrypted.

    Raises:
        ConfigurationError: A file cannot be used.
    """
    if not kafka.security_protocol.endswith("SSL"):
        return None
    context = _trusting("kafka", kafka.ssl_cafile)
    try:
        if kafka.ssl_certfile:
            context.load_cert_chain(kafka.ssl_certfile, kafka.ssl_keyfile or None)
    except OSError as error:
        files = f"{kafka.ssl_certfile!r}, kafka.ssl_keyfile = {kafka.ssl_keyfile!r}"
        raise ConfigurationError(f"kafka.ssl_certfile = {files}: must be PEM files that match ({error})") from None
    return context


def webhook_tls(webhook: WebhookSettings) -> ssl.SSLContext:
    """Return the context that verifies the certificate of the on-call tool.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    return _trusting("webhook", webhook.ssl_cafile)


def redis_tls(redis: RedisSettings) -> ssl.SSLContext:
    """Return the context that verifies the certificate of Redis.

    Raises:
        ConfigurationError: The file cannot be used.
    """
    return _trusting("redis", redis.ssl_cafile)


def _trusting(table: str, cafile: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=cafile or None)
    except OSError as error:
        raise ConfigurationError(f"{table}.ssl_cafile = {cafile!r}: must be a PEM file ({error})") from None
