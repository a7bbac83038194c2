"""A consumer that survives outages: it logs every failure of Kafka and waits until the failure is over."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial

from kafka.errors import KafkaError

from streams.brokers.broker import KAFKA, Broker
from streams.brokers.clients import Reader
from streams.brokers.connection import ANSWER_MS
from streams.configuration.kafka import KafkaSettings

TIMEOUT_MS = 5000
"""Time limit for a short request to Kafka, in milliseconds."""
RECONNECT_MS = 1000
"""Longest wait between two attempts to connect, in milliseconds. With the client's own 30 s, records would wait for 30
s after Kafka has come back."""
TIMEOUTS: dict[str, object] = {
    "bootstrap_timeout_ms": TIMEOUT_MS,
    "reconnect_backoff_max_ms": RECONNECT_MS,
    "request_timeout_ms": ANSWER_MS,
}
"""Arguments of a reader that waits for Kafka only briefly."""
PAUSE_S = 1.0
"""Wait before a failed consumer is opened again, in seconds."""


class RetryingConsumer:
    """A reader that is closed, and opened again, whenever Kafka fails.

    ``fault`` and ``recovery`` are the two lines for ``log``: the first failure, at ``level``, and the first success
    after it. ``failed`` is called after every failure.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        log: logging.Logger,
        *,
        fault: str,
        recovery: str,
        level: int = logging.WARNING,
        failed: Callable[[], None] = lambda: None,
        broker: Broker = KAFKA,
        **arguments: object,
    ) -> None:
        self._open = partial(broker.reader, kafka, **TIMEOUTS | arguments)
        self._log = log
        self._fault = fault
        self._recovery = recovery
        self._level = level
        self._failed = failed
        self._is_failing = False

    @property
    def is_failing(self) -> bool:
        """Whether Kafka has failed since the last turn that succeeded."""
        return self._is_failing

    def run(
        self,
        stopping: threading.Event,
        opened: Callable[[Reader], None],
        turn: Callable[[Reader], None],
        every_s: float = 0.0,
    ) -> None:
        """Call ``opened`` with each new consumer, then ``turn`` again and again, until ``stopping`` is set."""
        while not stopping.is_set():
            try:
                with closing(self._open()) as consumer:
                    opened(consumer)
                    while not stopping.is_set():
                        turn(consumer)
                        self._succeed()
                        stopping.wait(every_s)
            except KafkaError as error:
                self._fail(error)
                stopping.wait(PAUSE_S)

    def _succeed(self) -> None:
        if self._is_failing:
            self._log.info("%s", self._recovery)
        self._is_failing = False

    def _fail(self, error: KafkaError) -> None:
        if not self._is_failing:
            self._log.log(self._level, "%s, will try again: %s", self._fault, error)
        self._is_failing = True
        self._failed()
