"""A consumer is opened again until Kafka answers, and an outage takes two lines in the log."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from streams.brokers import broker as brokers
from streams.brokers import retrying_consumer
from streams.brokers.reading import StalledError
from streams.brokers.retrying_consumer import RetryingConsumer
from streams.configuration.kafka import KafkaSettings

log = logging.getLogger("streams.test")


class Broker:
    """Stands in for ``KafkaConsumer``: ``fails`` are the numbers of the consumers that cannot be opened."""

    def __init__(self, *fails: int) -> None:
        self.fails = fails
        self.arguments: dict[str, object] = {}
        self.opened = 0
        self.closed = 0

    def __call__(self, **arguments: object) -> Broker:
        self.arguments = arguments
        self.opened += 1
        if self.opened in self.fails:
            raise KafkaTimeoutError(f"consumer {self.opened}")
        return self

    def close(self) -> None:
        self.closed += 1


class WatchedEvent(threading.Event):
    """An event that reports that somebody waits for it: ``awaited`` is set then."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.awaited.set()
        return super().wait(timeout)


def consumer(failed: Callable[[], None] = lambda: None, **arguments: Any) -> RetryingConsumer:
    return RetryingConsumer(
        KafkaSettings(), log, fault="it cannot be read", recovery="it is read again", failed=failed, **arguments
    )


@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), StalledError("scans: nothing was read")], ids=type)
@pytest.mark.parametrize(("level", "logged"), [({}, logging.WARNING), ({"level": logging.ERROR}, logging.ERROR)])
def test_a_consumer_that_fails_is_closed_and_opened_again(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    level: dict[str, int],
    logged: int,
    error: KafkaError,
) -> None:
    caplog.set_level(logging.INFO)
    broker, stopping, failures, opened, turns = Broker(2, 3), threading.Event(), [], [], []

    def turn(_: object) -> None:
        turns.append(broker.opened)
        if len(turns) == 2:
            raise error
        if len(turns) == 4:
            stopping.set()

    monkeypatch.setattr(brokers, "KafkaConsumer", broker)
    monkeypatch.setattr(retrying_consumer, "PAUSE_S", 0.0)
    retrying = consumer(failed=lambda: failures.append(retrying.is_failing), max_poll_records=7, **level)
    retrying.run(stopping, lambda _: opened.append(broker.opened), turn)
    assert (turns, opened) == ([1, 1, 4, 4], [1, 4])
    assert broker.closed == 2  # two of four could not be opened
    assert failures == [True, True, True]
    assert not retrying.is_failing
    assert caplog.record_tuples == [
        (log.name, logged, f"it cannot be read, will try again: {error}"),
        (log.name, logging.INFO, "it is read again"),
    ]
    assert broker.arguments["max_poll_records"] == 7
    assert broker.arguments["isolation_level"] == "read_committed"


def test_another_error_than_kafkas_is_raised_and_the_consumer_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker()

    def turn(_: object) -> None:
        raise ValueError

    monkeypatch.setattr(brokers, "KafkaConsumer", broker)
    with pytest.raises(ValueError):  # noqa: PT011 (it has no text)
        consumer().run(threading.Event(), lambda _: None, turn)
    assert broker.closed == 1


@pytest.mark.parametrize("fails", [(), (1,)], ids=["between turns", "after a failure"])
def test_it_stops_at_once_while_it_waits(monkeypatch: pytest.MonkeyPatch, fails: tuple[int, ...]) -> None:
    broker, stopping = Broker(*fails), WatchedEvent()
    monkeypatch.setattr(brokers, "KafkaConsumer", broker)
    monkeypatch.setattr(retrying_consumer, "PAUSE_S", 60.0)
    thread = threading.Thread(target=consumer().run, args=(stopping, lambda _: None, lambda _: None, 60.0))
    thread.start()
    assert stopping.awaited.wait(5)
    stopping.set()
    thread.join(5)
    assert not thread.is_alive()
    assert broker.opened == 1


def test_a_port_that_nobody_listens_at_is_a_failure() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        stopping = threading.Event()
        kafka = KafkaSettings(bootstrap=f"127.0.0.1:{unused.getsockname()[1]}")
        retrying = RetryingConsumer(
            kafka, log, fault="away", recovery="back", failed=stopping.set, bootstrap_timeout_ms=300
        )
        retrying.run(stopping, lambda _: None, lambda _: None)
    assert retrying.is_failing
