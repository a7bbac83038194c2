"""Sends the responses of operators to the topic ``responses``."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from streams.brokers.connection import producer_arguments
from streams.configuration.kafka import KafkaSettings
from streams.messages.response import ResponseMessage

TIMEOUT_S = 4.0
"""Time limit for Kafka to accept a response, in seconds."""
MAX_WAITING = 50
"""Largest number of responses that wait at a time."""

log = logging.getLogger(__name__)


class NotAccepted(Exception):
    """Kafka did not accept the response."""


class Responder:
    """Sends responses one after the other, in its own thread. It connects to Kafka at the first response."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._topic = kafka.topic("responses")
        self._thread = ThreadPoolExecutor(1, "responses")
        self._producer: KafkaProducer | None = None
        self._waiting = 0

    async def send(self, area: str, response: ResponseMessage) -> None:
        """Send a response, and wait until every replica in sync has stored it.

        Raises:
            NotAccepted: Kafka did not accept the response within ``TIMEOUT_S`` seconds, or too many responses wait.
        """
        if self._waiting >= MAX_WAITING:
            raise NotAccepted
        self._waiting += 1
        until_s = time.monotonic() + TIMEOUT_S
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._send, area, response, until_s)
        except KafkaError as error:
            log.warning("topic %s did not accept a response: %r", self._topic, error)
            raise NotAccepted from None
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Close the connection."""
        self._thread.submit(self._close)
        self._thread.shutdown()

    def _send(self, area: str, response: ResponseMessage, until_s: float) -> None:
        if time.monotonic() > until_s:  # it has waited too long for others; a late response is not sent
            raise KafkaTimeoutError
        timeout_ms = int(TIMEOUT_S * 1000)
        if self._producer is None:
            self._producer = KafkaProducer(
                **producer_arguments(self._kafka),
                bootstrap_timeout_ms=timeout_ms,
                max_block_ms=timeout_ms,
                request_timeout_ms=timeout_ms - 1000,
                delivery_timeout_ms=timeout_ms,
                reconnect_backoff_max_ms=1000,
            )
        try:
            self._producer.send(self._topic, key=area.encode(), value=response.encode()).get(timeout=TIMEOUT_S)
        except KafkaError:  # the producer may be refused for ever, and must not send this late
            self._producer.close(timeout=0)
            self._producer = None
            raise

    def _close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=TIMEOUT_S)
